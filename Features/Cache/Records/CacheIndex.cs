using System.Runtime.InteropServices;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// The records in memory: by key, by the digest of their body, and in order of use. One lock guards these few pointers and nothing else: no file is opened,
/// read or deleted under it; whoever removes an entry deletes its files afterwards.
/// </summary>
internal sealed class CacheIndex
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, CacheEntry> _byKey = [];
    private readonly Dictionary<Hash256, CacheEntry> _byDigest = [];
    private readonly Dictionary<string, int> _origins = new(StringComparer.Ordinal);
    private CacheEntry? _oldest;
    private CacheEntry? _newest;
    private long _size;
    private long _changes;

    /// <summary>Bytes of all bodies, each counted once however many records share it.</summary>
    public long Size { get { lock (_lock) return _size; } }

    public int Count { get { lock (_lock) return _byKey.Count; } }

    /// <summary>Grows with every addition, removal and use: tells whether a snapshot is still true.</summary>
    public long Changes { get { lock (_lock) return _changes; } }

    /// <summary>Finds the record that answers <paramref name="target"/> and marks it as used.</summary>
    public CacheEntry? Find(CacheTarget target)
    {
        lock (_lock)
        {
            if (Use(_byKey.GetValueOrDefault(target.Key.Hash)) is { } entry)
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
            var entry = _byDigest.GetValueOrDefault(digest);
            while (entry is not null && origin is not null && !IsOf(entry, origin))
                entry = entry.NextOfDigest;
            return Use(entry);
        }
    }

    /// <summary>All records of a body.</summary>
    public IReadOnlyList<CacheEntry> OfBody(in Hash256 digest)
    {
        lock (_lock)
        {
            var all = new List<CacheEntry>();
            for (var entry = _byDigest.GetValueOrDefault(digest); entry is not null; entry = entry.NextOfDigest)
                all.Add(entry);
            return all;
        }
    }

    /// <summary>The record of a key.</summary>
    public CacheEntry? Get(in Hash256 key)
    {
        lock (_lock)
            return _byKey.GetValueOrDefault(key);
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
            return _byKey.ContainsKey(key);
    }

    /// <summary>Adds as most recently used. Returns the entry of the same key that it replaces, whose files are now the new one's.</summary>
    public CacheEntry? Add(CacheEntry entry)
    {
        lock (_lock)
        {
            if (_byKey.TryGetValue(entry.Key, out var replaced))
                RemoveLocked(replaced);
            Insert(entry);
            LinkNewest(entry);
            return replaced;
        }
    }

    /// <summary>Adds entries found on disk as less recently used than all that are in already.</summary>
    /// <param name="newestFirst">In falling order of recency. Keys already present are skipped: what is in memory is newer.</param>
    public void AddOlder(ReadOnlySpan<CacheEntry> newestFirst)
    {
        lock (_lock)
        {
            foreach (var entry in newestFirst)
            {
                if (_byKey.ContainsKey(entry.Key))
                    continue;
                Insert(entry);
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

    /// <summary>Removes least recently used entries until the bodies fit into <paramref name="maxSize"/> bytes.</summary>
    public IReadOnlyList<CacheEntry> Trim(long maxSize)
    {
        lock (_lock)
        {
            if (_size <= maxSize)
                return [];
            var removed = new List<CacheEntry>();
            while (_size > maxSize && _oldest is { } entry)
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
        _changes++;
        return entry;
    }

    // The same key may be that of an https origin today.
    private CacheEntry? FindFormer(in Hash256 key)
    {
        lock (_lock)
            return _byKey.GetValueOrDefault(key) is { IsFormer: true } entry ? Use(entry) : null;
    }

    private void Insert(CacheEntry entry)
    {
        _byKey.Add(entry.Key, entry);
        ref var first = ref CollectionsMarshal.GetValueRefOrAddDefault(_byDigest, entry.Digest, out var shared);
        (entry.NextOfDigest, first) = (first, entry);
        CollectionsMarshal.GetValueRefOrAddDefault(_origins, entry.Origin, out _)++;
        entry.InIndex = true;
        if (!shared)
            _size += entry.Size;
        _changes++;
    }

    private bool RemoveLocked(CacheEntry entry)
    {
        if (!entry.InIndex)
            return false;
        Unlink(entry);
        _byKey.Remove(entry.Key);
        if (!UnlinkFromDigest(entry))
            _size -= entry.Size;
        if (--CollectionsMarshal.GetValueRefOrAddDefault(_origins, entry.Origin, out _) == 0)
            _origins.Remove(entry.Origin);
        entry.InIndex = false;
        _changes++;
        return true;
    }

    // Whether records of the digest are left. There are few: one for each repository that a layer is used in.
    private bool UnlinkFromDigest(CacheEntry entry)
    {
        var first = _byDigest[entry.Digest];
        if (first == entry)
        {
            if (entry.NextOfDigest is not { } next)
            {
                _byDigest.Remove(entry.Digest);
                return false;
            }

            _byDigest[entry.Digest] = next;
        }
        else
        {
            var before = first;
            while (before.NextOfDigest != entry)
                before = before.NextOfDigest!;
            before.NextOfDigest = entry.NextOfDigest;
        }

        entry.NextOfDigest = null;
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
