using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Discobot.Features.Cache.Records;

/// <summary>From the directory to the index at the start, and back into a snapshot.</summary>
internal sealed partial class CacheStore
{
    private const int LoadStep = 10_000;
    private readonly Lock _snapshotLock = new();
    private readonly TaskCompletionSource _listed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _snapshotAt = -1;

    /// <summary>Completes when everything on disk is in the index. Requests are served meanwhile.</summary>
    public Task Loaded { get; internal set; } = Task.CompletedTask;

    /// <summary>Whether the directory is this process's to write.</summary>
    public bool IsOurs => _directory.IsOurs;

    /// <summary>Prepares the directory and begins to read it.</summary>
    /// <returns>False, with a log line, when the directory cannot be used: then nothing can be stored.</returns>
    public bool Start()
    {
        try
        {
            _directory.Prepare();
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("use its directory", e.Message);
            return false;
        }

        Loaded = Task.Run(Load);
        return true;
    }

    /// <summary>Writes the order of use beside the entries, if it changed since the last time.</summary>
    public void SaveSnapshot()
    {
        lock (_snapshotLock)
        {
            var changes = Index.Changes;
            if (changes == _snapshotAt || !_directory.IsOurs || !Loaded.IsCompletedSuccessfully)
                return;
            try
            {
                CacheSnapshot.Write(_directory.SnapshotPath, Index.ToArray());
                _snapshotAt = changes;
            }
            catch (Exception e) when (DiskFailure.Is(e))
            {
                LogDiskFailed("save its index", e.Message);
            }
        }
    }

    // What the last run knew first, in its order of use: it serves at once, and is compared with the directory afterwards, whose listing takes seconds
    // where there are millions of files. Whoever opens an entry meanwhile looks at its files anyhow.
    private void Load()
    {
        var started = _time.GetTimestamp();
        try
        {
            var known = CacheSnapshot.Read(_directory.SnapshotPath);
            known.Reverse();
            // In parts: requests wait for the index's lock.
            foreach (var part in known.Chunk(LoadStep))
                Index.AddOlder(part);
            if (known.Count > 0)
                _listed.TrySetResult();
            LogListed(known.Count, (long)_time.GetElapsedTime(started).TotalMilliseconds);

            var files = Compare(known, _directory.List());
            Index.AddNewer(CollectionsMarshal.AsSpan(Unknown(files)));
            Sweep(files);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("read its directory", e.Message);
        }

        _listed.TrySetResult();
        Trim();
        LogLoaded(Index.Count, Index.Size, (long)_time.GetElapsedTime(started).TotalMilliseconds);
    }

    /// <summary>Waits until what the last run knew is in the index, and no longer than a request can wait.</summary>
    public async ValueTask ListedAsync(CancellationToken cancel)
    {
        if (_listed.Task.IsCompleted || Loaded.IsCompleted)
            return;
        await ((Task)Task.WhenAny(_listed.Task, Loaded)).WaitAsync(TimeSpan.FromSeconds(5), cancel)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        cancel.ThrowIfCancellationRequested();
    }

    // An entry that no snapshot knows is found by its name while the directory is still being read.
    private void Discover(CacheTarget target)
    {
        try
        {
            foreach (var key in (ReadOnlySpan<CacheKey?>)[target.Key, target.Former])
            {
                if (key is { } known && _directory.ReadEntry(known.Hash) is { } entry)
                    Index.AddNewer([entry]);
            }
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("look for an entry", e.Message);
        }
    }

    // What the snapshot lists and is gone, by hand or by a crash between two snapshots, is taken off the index. The rest of the directory is returned:
    // mostly nothing, where a list of everything would take as much memory as the index.
    internal Dictionary<Hash256, EntryFiles> Compare(List<CacheEntry> known, IEnumerable<(Hash256 Key, EntryFiles Files)> directory)
    {
        var others = new Dictionary<Hash256, EntryFiles>();
        foreach (var (key, files) in directory)
        {
            if (Index.Get(key) is { Missing: not EntryFiles.None } entry)
                entry.Missing &= ~files;
            else
                CollectionsMarshal.GetValueRefOrAddDefault(others, key, out _) |= files;
        }

        foreach (var entry in known)
        {
            if (!Index.Contains(entry))
            {
                // Evicted, ended or replaced meanwhile: whoever did that sees to its files, which must not come back as the newest of all.
                others.Remove(entry.Key);
                continue;
            }

            if (entry.Missing == EntryFiles.None)
                continue;
            Index.Remove(entry);
            if (entry.Missing != EntryFiles.Both)
                others[entry.Key] = EntryFiles.Both & ~entry.Missing;
        }

        return others;
    }

    // What no snapshot knows: stored after it was written, so more recently used, ordered by when they were stored. Taken off the list.
    private List<CacheEntry> Unknown(Dictionary<Hash256, EntryFiles> files)
    {
        var keys = files.Where(f => f.Value == EntryFiles.Both).Select(f => f.Key).ToArray();
        var read = new CacheEntry?[keys.Length];
        var unreadable = new ConcurrentBag<Hash256>();
        Parallel.For(0, keys.Length, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, i =>
        {
            try
            {
                read[i] = _directory.ReadEntry(keys[i]);
            }
            catch (Exception e) when (DiskFailure.Is(e))
            {
                unreadable.Add(keys[i]);
            }
        });
        List<CacheEntry> entries = [.. read.OfType<CacheEntry>()];
        entries.ForEach(e => files.Remove(e.Key));
        // Not damaged, as far as anybody knows: the next start may find them well.
        foreach (var key in unreadable)
            files.Remove(key);
        entries.Sort((a, b) => a.StoredAt.CompareTo(b.StoredAt));
        return entries;
    }

    // What is left has no body, no metadata, or metadata that makes no sense. A commit may be between its two renames: hence the lock.
    private void Sweep(Dictionary<Hash256, EntryFiles> files)
    {
        foreach (var key in files.Keys)
        {
            lock (FilesOf(key))
            {
                if (!Index.ContainsKey(key))
                    _directory.Delete(key);
            }
        }
    }

    /// <summary>Leaves the directory to the next process; nothing is stored any more.</summary>
    public void Release() => _directory.Release();

    [LoggerMessage(Level = LogLevel.Debug, Message = "cache listed entries={Entries} duration={Milliseconds}ms")]
    private partial void LogListed(int entries, long milliseconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "cache loaded entries={Entries} bytes={Bytes} duration={Milliseconds}ms")]
    private partial void LogLoaded(int entries, long bytes, long milliseconds);
}
