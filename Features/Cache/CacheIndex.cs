namespace Discobot.Features.Cache;

/// <summary>
/// The entries in memory: by key, by digest, and in order of use. One lock guards these few pointers and nothing else: no file is opened,
/// read or deleted under it; whoever removes an entry deletes its files afterwards.
/// </summary>
internal sealed partial class CacheIndex
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, CacheEntry> _byKey = [];
    private readonly Dictionary<Hash256, CacheEntry> _byDigest = [];
    private readonly Dictionary<string, int> _hosts = new(StringComparer.Ordinal);
    private CacheEntry? _oldest;
    private CacheEntry? _newest;
    private long _size;
    private long _changes;

    /// <summary>Bytes of all bodies.</summary>
    public long Size { get { lock (_lock) return _size; } }

    public int Count { get { lock (_lock) return _byKey.Count; } }

    /// <summary>Grows with every addition, removal and use: tells whether a snapshot is still true.</summary>
    public long Changes { get { lock (_lock) return _changes; } }

    /// <summary>Finds what answers <paramref name="target"/> and marks it as used: its own entry, else one with its digest.</summary>
    public CacheEntry? Find(CacheTarget target)
    {
        lock (_lock)
        {
            if (Lookup(target) is not { } entry)
                return null;
            Unlink(entry);
            LinkNewest(entry);
            _changes++;
            return entry;
        }
    }

    /// <summary>What <see cref="Find"/> would find, without marking it.</summary>
    public CacheEntry? Peek(CacheTarget target)
    {
        lock (_lock)
            return Lookup(target);
    }

    /// <summary>Whether anything of this host (as in <see cref="CacheKey.Host"/>) is stored.</summary>
    public bool HasHost(string host)
    {
        lock (_lock)
            return _hosts.ContainsKey(host);
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
}
