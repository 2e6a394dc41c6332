using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Records;

/// <summary>From what has come in to its names on the disk, beside the answers.</summary>
internal sealed partial class CacheStore
{
    // Of the bodies on their way, by digest.
    private readonly Dictionary<Hash256, SharedFile> _shared = [];

    /// <summary>Waits until everything added has its name on disk.</summary>
    public Task CommittedAsync() => Task.WhenAll(_commits.Keys);

    /// <summary>Has <see cref="CommittedAsync"/> wait for it, too, and with that the end of the process.</summary>
    /// <param name="commit">Must not wait for that itself.</param>
    public void Track(Task commit)
    {
        _commits.TryAdd(commit, true);
        commit.ContinueWith(
            (t, commits) => ((ConcurrentDictionary<Task, bool>)commits!).TryRemove(t, out _), _commits,
            CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    // Records of one body share one file. That of another is the one, if it is what was verified; one that could not be read is replaced by this, just
    // verified. Whoever looked at all of them for each that comes in would take hours for some thousands: only the first of those under way together does.
    // Where the disk knows no second names, the body is its newest record's: what is counted once is there once.
    private void ShareBody(CacheEntry entry, SharedFile shared)
    {
        lock (shared)
        {
            List<CacheEntry> unsound = [];
            var source = shared.Placed is { } placed && placed != entry && Index.Contains(placed) ? placed : null;
            if (source is null && shared.Placed is null)
            {
                foreach (var other in Index.OfBody(entry.Digest))
                {
                    if (other == entry || _unplaced.ContainsKey(other.Key))
                        continue;
                    if (IsSound(other))
                    {
                        source = other;
                        break;
                    }

                    unsound.Add(other);
                }
            }

            if (source is not null)
                ShareFile(source, entry);
            unsound.ForEach(other => ShareFile(entry, other));
            shared.Placed = entry;
        }
    }

    private bool IsSound(CacheEntry entry)
    {
        using var file = _directory.OpenBody(entry.Key);
        return file is not null && RandomAccess.GetLength(file) == entry.Size && StoredBody.StampOf(file) == entry.VerifiedStamp;
    }

    private void ShareFile(CacheEntry source, CacheEntry entry)
    {
        lock (FilesOf(entry.Key))
        {
            if (!Index.Contains(entry))
                return;
            if (_directory.TryLink(source.Key, out var second, out var knowsNone))
            {
                _directory.PlaceBody(second, entry.Key);
                entry.VerifiedStamp = source.VerifiedStamp;
                return;
            }

            if (!knowsNone)
                return;
        }

        if (source.StoredAt <= entry.StoredAt)
            Remove(source);
        else
            Remove(entry);
    }

    private SharedFile EnterShared(in Hash256 digest)
    {
        lock (_shared)
        {
            ref var shared = ref CollectionsMarshal.GetValueRefOrAddDefault(_shared, digest, out _);
            shared ??= new SharedFile();
            shared.Commits++;
            return shared;
        }
    }

    private void LeaveShared(in Hash256 digest, SharedFile shared)
    {
        lock (_shared)
        {
            if (--shared.Commits == 0)
                _shared.Remove(digest);
        }
    }

    private async Task LinkAsync(Task committed, CacheEntry source, CacheEntry entry, EntryMetadata metadata)
    {
        await committed.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        string? body = null;
        string? metadataPath = null;
        try
        {
            if (!_directory.TryLink(source.Key, out body, out _))
                return;
            metadataPath = _directory.WriteMetadata(metadata);
            entry.VerifiedStamp = source.VerifiedStamp;
            var isEnded = false;
            lock (FilesOf(entry.Key))
            {
                // Ended meanwhile, or another record of this key is on its way: this one is not what its origin says now.
                if (_linking.TryGetValue(entry.Key, out var current) && current == entry)
                {
                    _directory.PlaceBody(body, entry.Key);
                    _directory.PlaceMetadata(metadataPath, entry.Key);
                    if (Index.Add(entry) is { } replaced)
                        _open.Remove(replaced);
                    // Whoever ends it finds it on its way, or in the index, or in both.
                    isEnded = !_linking.TryRemove(KeyValuePair.Create(entry.Key, entry));
                }
            }

            if (isEnded)
                Remove(entry);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("store a record", e.Message);
        }
        finally
        {
            _linking.TryRemove(KeyValuePair.Create(entry.Key, entry));
            foreach (var path in new[] { body, metadataPath })
            {
                if (path is not null)
                    CacheDirectory.DeleteTemporary(path);
            }
        }

        Trim();
    }

    private async Task CommitAsync(
        CacheEntry entry, StoredBody body, TemporaryBody temporary, EntryMetadata metadata, TaskCompletionSource commit, Action<string>? placed)
    {
        var shared = EnterShared(entry.Digest);
        await _flushes.WaitAsync().ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            RandomAccess.FlushToDisk(temporary.File);
            var metadataPath = _directory.WriteMetadata(metadata);
            lock (FilesOf(entry.Key))
            {
                // Evicted or cleared meanwhile: then neither file may get a name.
                if (Index.Contains(entry))
                    _directory.Place(temporary.Path, metadataPath, entry.Key);
                else
                    File.Delete(metadataPath);
            }

            if (entry.Size > 0)
                ShareBody(entry, shared);
            placed?.Invoke(_directory.BodyPath(entry.Key));
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("store an entry", e.Message);
            Drop(entry, e.Message);
        }
        finally
        {
            _flushes.Release();
            LeaveShared(entry.Digest, shared);
            temporary.Delete();
            _unplaced.TryRemove(KeyValuePair.Create(entry.Key, (Task)commit.Task));
            commit.SetResult();
            // The next to want a small one reads it into memory.
            if (entry.Size <= StoredBody.MemoryLimit)
                _open.Remove(entry);
            else
                _open.Unpin(entry);
            body.Release();
        }
    }

    // What those who store one body at the same time know of its file.
    private sealed class SharedFile
    {
        public int Commits { get; set; }

        /// <summary>A record that has its file, and shares it with those before it.</summary>
        public CacheEntry? Placed { get; set; }
    }
}

/// <summary>A body being written, under a name that a restart sweeps.</summary>
internal sealed class TemporaryBody(string path, SafeFileHandle file)
{
    public string Path { get; } = path;

    public SafeFileHandle File { get; } = file;

    /// <summary>Removes the name, if it still has this one; an open handle goes on reading.</summary>
    public void Delete() => CacheDirectory.DeleteTemporary(Path);
}
