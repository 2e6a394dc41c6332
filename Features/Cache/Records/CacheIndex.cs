using System.Runtime.InteropServices;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// The records in memory: by key, by the digest of their body, and in order of use. One lock guards these few pointers and nothing else: no file is opened,
/// read or deleted under it; whoever removes an entry deletes its files afterwards.
/// </summary>
internal sealed class CacheIndex(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly EntryTable _byKey = new(byDigest: false);

    // Without the empty body, which would belong to every record that has none.
    private readonly EntryTable _byDigest = new(byDigest: true);
    private readonly Dictionary<string, int> _origins = new(StringComparer.Ordinal);
    private CacheEntry? _oldest;
    private CacheEntry? _newest;
    private long _size;
    private long _diskSize;
    private long _changes;

    /// <summary>Bytes of all bodies, each counted once however many records share it.</summary>
    public long Size { get { lock (_lock) return _size; } }

    /// <summary>Bytes that all this takes of the disk, each record for itself; what <see cref="Trim"/> keeps within a limit.</summary>
    public long DiskSize { get { lock (_lock) return _diskSize; } }

    public int Count { get { lock (_lock) return _byKey.Count; } }

    /// <summary>Grows with every addition, removal and use: tells whether a snapshot is still true.</summary>
    public long Changes { get { lock (_lock) return _changes; } }

    /// <summary>Finds the record that answers <paramref name="target"/> and marks it as used.</summary>
    public CacheEntry? Find(CacheTarget target)
    {
        lock (_lock)
        {
            if (Use(_byKey.Find(target.Key.Hash)) is { } entry)
                return entry;
        }

        return target.Former is { } former ? FindFormer(former.Hash) : null;
    }

    /// <summary>Finds a record of a body, whoever it belongs to, and marks it as used.</summary>
    /// <param name="digest">Of the body.</param>
    /// <param name="origin">Only a record of this origin will do; null for any.</param>
    public CacheEntry? FindBody(in Hash256 digest, string? origin = null)
    {
        lock (_lock)
        {
            var entry = _byDigest.Find(digest);
            while (entry is not null && origin is not null && !IsOf(entry, origin))
                entry = _byDigest.After(entry);
            return Use(entry);
        }
    }

    /// <summary>All records of a body.</summary>
    public IReadOnlyList<CacheEntry> OfBody(in Hash256 digest)
    {
        lock (_lock)
        {
            var all = new List<CacheEntry>();
            for (var entry = _byDigest.Find(digest); entry is not null; entry = _byDigest.After(entry))
                all.Add(entry);
            return all;
        }
    }

    public bool HasBody(in Hash256 digest)
    {
        lock (_lock)
            return _byDigest.Find(digest) is not null;
    }

    /// <summary>The record of a key.</summary>
    public CacheEntry? Get(in Hash256 key)
    {
        lock (_lock)
            return _byKey.Find(key);
    }

    /// <summary>What <see cref="Find"/> would find, without marking it.</summary>
    public CacheEntry? Peek(CacheTarget target) =>
        Get(target.Key.Hash) ?? (target.Former is { } former && Get(former.Hash) is { IsFormer: true } entry ? entry : null);

    /// <summary>Whether anything of this origin (as in <see cref="CacheKey.Origin"/>) is stored.</summary>
    public bool HasOrigin(string origin)
    {
        lock (_lock)
            return _origins.ContainsKey(origin);
    }

    public bool Contains(CacheEntry entry)
    {
        lock (_lock)
            return entry.InIndex;
    }

    /// <summary>Whether any entry, this or a later one, uses the files of this key.</summary>
    public bool ContainsKey(in Hash256 key)
    {
        lock (_lock)
            return _byKey.Find(key) is not null;
    }

    /// <summary>Adds as most recently used. Returns the entry of the same key that it replaces, whose files are now the new one's.</summary>
    public CacheEntry? Add(CacheEntry entry)
    {
        lock (_lock)
        {
            var replaced = _byKey.Find(entry.Key);
            if (replaced is not null)
                RemoveLocked(replaced);
            entry.UsedSeconds = Now();
            Insert(entry);
            LinkNewest(entry);
            return replaced;
        }
    }

    /// <summary>Puts an entry in the place of one of the same key, as most recently used.</summary>
    /// <returns>False when that is gone: whoever ended it, ended what it says.</returns>
    public bool TryReplace(CacheEntry former, CacheEntry entry)
    {
        lock (_lock)
            return former.InIndex && Add(entry) is not null;
    }

    /// <summary>Adds entries found on disk as less recently used than all that are in already.</summary>
    /// <param name="newestFirst">In falling order of recency. Keys already present are skipped: what is in memory is newer.</param>
    public void AddOlder(ReadOnlySpan<CacheEntry> newestFirst) => AddFound(newestFirst, areNewer: false);

    /// <summary>Adds entries found on disk that were stored after the order of use was written.</summary>
    /// <param name="oldestFirst">In rising order of recency. Keys already present are skipped: what is in memory is newer.</param>
    public void AddNewer(ReadOnlySpan<CacheEntry> oldestFirst) => AddFound(oldestFirst, areNewer: true);

    private void AddFound(ReadOnlySpan<CacheEntry> entries, bool areNewer)
    {
        lock (_lock)
        {
            _byKey.Reserve(entries.Length);
            _byDigest.Reserve(entries.Length);
            foreach (var entry in entries)
            {
                if (_byKey.Find(entry.Key) is not null)
                    continue;
                Insert(entry);
                if (areNewer)
                    LinkNewest(entry);
                else
                    LinkOldest(entry);
            }
        }
    }

    /// <returns>False when it was gone already.</returns>
    public bool Remove(CacheEntry entry)
    {
        lock (_lock)
            return RemoveLocked(entry);
    }

    /// <summary>Removes least recently used entries until all fits into <paramref name="maxSize"/> bytes of the disk.</summary>
    public IReadOnlyList<CacheEntry> Trim(long maxSize)
    {
        lock (_lock)
        {
            if (_diskSize <= maxSize)
                return [];
            var removed = new List<CacheEntry>();
            while (_diskSize > maxSize && _oldest is { } entry)
            {
                RemoveLocked(entry);
                removed.Add(entry);
            }

            return removed;
        }
    }

    /// <summary>All entries, least recently used first.</summary>
    public CacheEntry[] ToArray()
    {
        lock (_lock)
        {
            var all = new CacheEntry[_byKey.Count];
            var i = 0;
            for (var entry = _oldest; entry is not null; entry = entry.Newer)
                all[i++] = entry;
            return all;
        }
    }

    // A former key of plain http does not say so.
    private static bool IsOf(CacheEntry entry, string origin) =>
        entry.Origin == origin || (entry.IsFormer && origin.EndsWith("://" + entry.Origin, StringComparison.Ordinal));

    private CacheEntry? Use(CacheEntry? entry)
    {
        if (entry is null)
            return null;
        Unlink(entry);
        LinkNewest(entry);
        entry.UsedSeconds = Now();
        _changes++;
        return entry;
    }

    private uint Now() => (uint)Math.Clamp(time.GetUtcNow().ToUnixTimeSeconds(), 0, uint.MaxValue);

    // The same key may be that of an https origin today.
    private CacheEntry? FindFormer(in Hash256 key)
    {
        lock (_lock)
            return _byKey.Find(key) is { IsFormer: true } entry ? Use(entry) : null;
    }

    private void Insert(CacheEntry entry)
    {
        _byKey.Add(entry);
        _diskSize += entry.RecordSize;
        if (entry.Size > 0)
        {
            if (_byDigest.Find(entry.Digest) is null)
                (_size, _diskSize) = (_size + entry.Size, _diskSize + entry.BodySize);
            _byDigest.Add(entry);
        }

        CollectionsMarshal.GetValueRefOrAddDefault(_origins, entry.Origin, out _)++;
        entry.InIndex = true;
        _changes++;
    }

    private bool RemoveLocked(CacheEntry entry)
    {
        if (!entry.InIndex)
            return false;
        Unlink(entry);
        _byKey.Remove(entry);
        _diskSize -= entry.RecordSize;
        if (entry.Size > 0)
        {
            _byDigest.Remove(entry);
            if (_byDigest.Find(entry.Digest) is null)
                (_size, _diskSize) = (_size - entry.Size, _diskSize - entry.BodySize);
        }

        if (--CollectionsMarshal.GetValueRefOrAddDefault(_origins, entry.Origin, out _) == 0)
            _origins.Remove(entry.Origin);
        entry.InIndex = false;
        _changes++;
        return true;
    }

    private void LinkNewest(CacheEntry entry)
    {
        (entry.Older, entry.Newer) = (_newest, null);
        if (_newest is null)
            _oldest = entry;
        else
            _newest.Newer = entry;
        _newest = entry;
    }

    private void LinkOldest(CacheEntry entry)
    {
        (entry.Older, entry.Newer) = (null, _oldest);
        if (_oldest is null)
            _newest = entry;
        else
            _oldest.Older = entry;
        _oldest = entry;
    }

    private void Unlink(CacheEntry entry)
    {
        if (entry.Older is { } older)
            older.Newer = entry.Newer;
        else
            _oldest = entry.Newer;
        if (entry.Newer is { } newer)
            newer.Older = entry.Older;
        else
            _newest = entry.Older;
        (entry.Older, entry.Newer) = (null, null);
    }
}
