namespace Discobot.Features.Cache.Records;

/// <summary>
/// Entries by their key, or by the digest of their body, of which several may have the same. The chains run through the entries themselves, which makes
/// a table 16 to 24 bytes an entry where a dictionary is 52 to 104. Not for more than one thread at a time.
/// </summary>
internal sealed class EntryTable(bool byDigest)
{
    // Always a power of two, at least as many as entries: digests are evenly distributed as they are.
    private CacheEntry?[] _buckets = new CacheEntry?[64];

    public int Count { get; private set; }

    /// <summary>The newest entry of a name; null when there is none.</summary>
    public CacheEntry? Find(in Hash256 name) => FirstFrom(_buckets[Bucket(name)], name);

    /// <summary>The next older entry of the same name.</summary>
    public CacheEntry? After(CacheEntry entry) => FirstFrom(Next(entry), Name(entry));

    public void Add(CacheEntry entry)
    {
        if (Count == _buckets.Length)
            Grow(Count * 2);
        Link(entry);
        Count++;
    }

    /// <summary>Makes room for so many more, so that a start does not grow step by step.</summary>
    public void Reserve(int more)
    {
        var size = _buckets.Length;
        while (size < Count + more)
            size *= 2;
        if (size > _buckets.Length)
            Grow(size);
    }

    public void Remove(CacheEntry entry)
    {
        ref var link = ref _buckets[Bucket(Name(entry))];
        while (link != entry)
            link = ref Next(link!);
        link = Next(entry);
        Next(entry) = null;
        Count--;
    }

    private void Grow(int size)
    {
        var former = _buckets;
        _buckets = new CacheEntry?[size];
        foreach (var first in former)
        {
            // Newer ones are further in front, and have to stay there.
            CacheEntry? reversed = null;
            for (var entry = first; entry is not null;)
            {
                var next = Next(entry);
                Next(entry) = reversed;
                (reversed, entry) = (entry, next);
            }

            while (reversed is not null)
            {
                var next = Next(reversed);
                Link(reversed);
                reversed = next;
            }
        }
    }

    private void Link(CacheEntry entry)
    {
        ref var first = ref _buckets[Bucket(Name(entry))];
        Next(entry) = first;
        first = entry;
    }

    private CacheEntry? FirstFrom(CacheEntry? entry, in Hash256 name)
    {
        while (entry is not null && Name(entry) != name)
            entry = Next(entry);
        return entry;
    }

    private int Bucket(in Hash256 name) => (int)(name.B & (ulong)(_buckets.Length - 1));

    private Hash256 Name(CacheEntry entry) => byDigest ? entry.Digest : entry.Key;

    private ref CacheEntry? Next(CacheEntry entry) => ref byDigest ? ref entry.NextOfDigest : ref entry.NextOfKey;
}
