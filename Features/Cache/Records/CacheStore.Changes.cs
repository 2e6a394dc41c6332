namespace Discobot.Features.Cache.Records;

/// <summary>What comes in and what goes.</summary>
internal sealed partial class CacheStore
{
    /// <summary>Makes the file for a body on its way in.</summary>
    /// <exception cref="IOException">The disk is full or failing: pass the body through.</exception>
    /// <exception cref="UnauthorizedAccessException">The directory is not ours to write.</exception>
    public TemporaryBody CreateTemporary()
    {
        var (path, file) = _directory.CreateTemporary();
        return new TemporaryBody(path, file);
    }

    /// <summary>
    /// Adds a complete body of the right digest. It answers at once; flushing it to the disk and giving it its name follow beside, since
    /// nobody's download should wait for that.
    /// </summary>
    /// <param name="temporary">Its file.</param>
    /// <param name="metadata">Its record.</param>
    /// <param name="placed">Told of the file once it has its name; not where it never gets one.</param>
    /// <returns>The body, acquired for the caller, who may have readers that are not done with it.</returns>
    public StoredBody Add(TemporaryBody temporary, EntryMetadata metadata, Action<string>? placed = null)
    {
        var entry = metadata.ToEntry();
        var stamp = StoredBody.StampOf(temporary.File);
        entry.VerifiedStamp = stamp;
        var body = _open.Add(StoredBody.FromFile(entry, metadata, temporary.File, stamp, _checks), pinned: true);
        var commit = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _unplaced[entry.Key] = commit.Task;
        if (Index.Add(entry) is { } replaced)
            _open.Remove(replaced);
        _stats.Store();
        body.TryAcquire();
        Track(CommitAsync(entry, body, temporary, metadata, commit, placed));
        Added?.Invoke(entry);
        Trim();
        return body;
    }

    /// <summary>
    /// Adds a record whose body is here already: a second name of the same file. It answers once it is on the disk; where the disk knows no second
    /// names, not at all, and the next request asks its origin again.
    /// </summary>
    public void AddRecord(CacheEntry source, EntryMetadata metadata)
    {
        var entry = metadata.ToEntry();
        _linking[entry.Key] = entry;
        Track(LinkAsync(CommittedAsync(), source, entry, metadata));
    }

    /// <summary>Replaces what an origin said of a body, which stays. Returns when the next request sees it.</summary>
    public async Task UpdateAsync(CacheEntry stored, EntryMetadata metadata)
    {
        // A body without its name would lose it: its commit looks for the entry that is replaced here.
        if (_unplaced.TryGetValue(stored.Key, out var placed))
            await placed.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await Task.Run(() => Update(stored, metadata));
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("update a record", e.Message);
        }
    }

    private void Update(CacheEntry stored, EntryMetadata metadata)
    {
        var path = _directory.WriteMetadata(metadata);
        var entry = metadata.ToEntry();
        entry.VerifiedStamp = stored.VerifiedStamp;
        lock (FilesOf(entry.Key))
        {
            // Replaced or removed meanwhile: what was confirmed is not what is here.
            if (!Index.Contains(stored))
            {
                File.Delete(path);
                return;
            }

            _directory.PlaceMetadata(path, entry.Key);
            // Who ends it meanwhile does not wait for this lock before it is off the index.
            if (Index.TryReplace(stored, entry))
                _open.Remove(stored);
            else if (!Index.ContainsKey(entry.Key))
                _directory.Delete(entry.Key);
        }

        Trim();
    }

    /// <summary>Whether there is a record of this key, or one on its way; while the directory is read, there may be.</summary>
    public bool Knows(CacheKey key) => Index.ContainsKey(key.Hash) || _linking.ContainsKey(key.Hash) || !Loaded.IsCompleted;

    /// <summary>Ends what is stored for these keys: their origin has changed what is there (RFC 9111, 4.4). The body may stay for others.</summary>
    public void Invalidate(params ReadOnlySpan<CacheKey?> keys)
    {
        foreach (var key in keys)
        {
            if (key is not { } known)
                continue;
            _linking.TryRemove(known.Hash, out _);
            if (Index.Get(known.Hash) is { } entry)
                Remove(entry);
            // On disk, perhaps, and not yet in the index.
            else if (!Loaded.IsCompleted && _directory.IsOurs)
                DeleteFiles(known.Hash);
        }
    }

    /// <summary>Removes an entry because somebody wants it gone. Those who read it go on.</summary>
    public void Evict(CacheEntry entry) => Remove(entry);

    /// <summary>Lets go of an open file without a judgment on the entry: the next request opens it anew.</summary>
    public void Close(CacheEntry entry)
    {
        _open.Remove(entry);
        _open.Remove(Current(entry));
    }

    /// <summary>Removes an entry that is not what it should be and counts it as an error. Its next request fetches it again.</summary>
    public void Drop(CacheEntry entry, string reason)
    {
        if (!Remove(Current(entry)))
            return;
        _stats.Error();
        LogDropped(entry.Key, reason);
    }

    // Whoever reads a body may hold a record that its origin has confirmed since, so that another stands for the same file.
    private CacheEntry Current(CacheEntry entry) => Index.Get(entry.Key) is { } current && current.Digest == entry.Digest ? current : entry;

    /// <summary>Empties the cache; the directory stays, and so do the downloads being read.</summary>
    public async Task ClearAsync(CancellationToken cancel)
    {
        await Loaded.WaitAsync(cancel).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        // A record that is being given its name would come back afterwards.
        await CommittedAsync().WaitAsync(cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancel.ThrowIfCancellationRequested();
        foreach (var entry in Index.Trim(0))
            Forget(entry);
    }

    private void Trim()
    {
        var evicted = Index.Trim(_rules.Value.Options.MaxSize);
        foreach (var entry in evicted)
            Forget(entry);
        _stats.Evicted(evicted.Count);
    }

    private bool Remove(CacheEntry entry)
    {
        if (!Index.Remove(entry))
            return false;
        Forget(entry);
        return true;
    }

    private void Forget(CacheEntry entry)
    {
        _open.Remove(entry);
        DeleteFiles(entry.Key);
    }

    // Unless an entry, this or a later one, uses them.
    private void DeleteFiles(in Hash256 key)
    {
        try
        {
            lock (FilesOf(key))
            {
                if (!Index.ContainsKey(key))
                    _directory.Delete(key);
            }
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("delete an entry", e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache dropped entry={Entry} reason={Reason}")]
    private partial void LogDropped(Hash256 entry, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache failed {Action} {Reason}")]
    private partial void LogDiskFailed(string action, string reason);
}
