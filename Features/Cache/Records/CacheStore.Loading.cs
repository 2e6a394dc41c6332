using System.Collections.Concurrent;

namespace Discobot.Features.Cache.Records;

/// <summary>From the directory to the index at the start, and back into a snapshot.</summary>
internal sealed partial class CacheStore
{
    private readonly Lock _snapshotLock = new();
    private long _snapshotAt = -1;

    /// <summary>Completes when everything on disk is in the index. Requests are served meanwhile.</summary>
    public Task Loaded { get; private set; } = Task.CompletedTask;

    /// <summary>Prepares the directory and begins to read it.</summary>
    /// <returns>False, with a log line, when the directory cannot be used: then nothing can be stored.</returns>
    public bool Start()
    {
        try
        {
            _directory.Prepare();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
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
            if (changes == _snapshotAt || !Loaded.IsCompletedSuccessfully)
                return;
            try
            {
                CacheSnapshot.Write(_directory.SnapshotPath, Index.ToArray());
                _snapshotAt = changes;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                LogDiskFailed("save its index", e.Message);
            }
        }
    }

    private void Load()
    {
        var started = _time.GetTimestamp();
        try
        {
            var files = _directory.List();
            var entries = Known(files);
            entries.AddRange(Unknown(files));
            entries.Reverse();
            Index.AddOlder(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(entries));
            Sweep(files);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogDiskFailed("read its directory", e.Message);
        }

        Trim();
        LogLoaded(Index.Count, Index.Size, (long)_time.GetElapsedTime(started).TotalMilliseconds);
    }

    // What the snapshot lists, in its order, as far as the files are still there. Taken off the list.
    private List<CacheEntry> Known(Dictionary<Hash256, EntryFiles> files)
    {
        var entries = CacheSnapshot.Read(_directory.SnapshotPath);
        entries.RemoveAll(e => !(files.TryGetValue(e.Key, out var found) && found == EntryFiles.Both && files.Remove(e.Key)));
        return entries;
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
                var entry = _directory.ReadMetadata(keys[i], headers: false)?.ToEntry();
                read[i] = entry?.Key == keys[i] ? entry : null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
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

    [LoggerMessage(Level = LogLevel.Information, Message = "cache loaded entries={Entries} bytes={Bytes} duration={Milliseconds}ms")]
    private partial void LogLoaded(int entries, long bytes, long milliseconds);
}
