namespace Discobot.Features.Cache.Bodies;

/// <summary>
/// The entries in use lately, open: at most 256 files and 16 MiB of small bodies. A hit on one of them reads no metadata, and if it is small,
/// nothing at all.
/// </summary>
internal sealed class OpenBodies
{
    private const int MaxFiles = 256;
    private const long MaxBytes = 16 << 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<CacheEntry, LinkedListNode<Slot>> _open = [];
    private readonly LinkedList<Slot> _recency = [];
    private long _bytes;
    private int _files;

    /// <returns>The open body, acquired for the caller, or null.</returns>
    public StoredBody? Find(CacheEntry entry)
    {
        StoredBody body;
        lock (_lock)
        {
            if (!_open.TryGetValue(entry, out var node))
                return null;
            body = node.Value.Body;
            if (_recency.Last != node)
            {
                _recency.Remove(node);
                _recency.AddLast(node);
            }
        }

        return body.TryAcquire() ? body : null;
    }

    /// <summary>Keeps a body open. If another caller was first, that one's is returned and ours is let go.</summary>
    /// <param name="pinned">Keep it until <see cref="Unpin"/>: its file has no name in the cache yet.</param>
    /// <returns>The body to use, acquired for the caller.</returns>
    public StoredBody Add(StoredBody body, bool pinned = false)
    {
        List<StoredBody> closed = [];
        StoredBody result;
        lock (_lock)
        {
            if (_open.TryGetValue(body.Entry, out var known) && known.Value.Body.TryAcquire())
            {
                closed.Add(body);
                result = known.Value.Body;
            }
            else
            {
                _open[body.Entry] = _recency.AddLast(new Slot(body) { Pinned = pinned });
                Count(body, +1);
                body.TryAcquire();
                result = body;
                Shrink(closed);
            }
        }

        closed.ForEach(b => b.Release());
        return result;
    }

    public void Unpin(CacheEntry entry)
    {
        lock (_lock)
        {
            if (_open.TryGetValue(entry, out var node))
                node.Value.Pinned = false;
        }
    }

    /// <summary>Forgets an entry; those who are reading it go on.</summary>
    public void Remove(CacheEntry entry)
    {
        StoredBody? body = null;
        lock (_lock)
        {
            if (_open.Remove(entry, out var node))
            {
                _recency.Remove(node);
                body = node.Value.Body;
                Count(body, -1);
            }
        }

        body?.Release();
    }

    private void Shrink(List<StoredBody> closed)
    {
        for (var node = _recency.First; node is not null && (_files > MaxFiles || _bytes > MaxBytes);)
        {
            var (slot, next) = (node.Value, node.Next);
            if (!slot.Pinned)
            {
                _open.Remove(slot.Body.Entry);
                _recency.Remove(node);
                Count(slot.Body, -1);
                closed.Add(slot.Body);
            }

            node = next;
        }
    }

    private void Count(StoredBody body, int sign)
    {
        if (body.InMemory)
            _bytes += sign * (body.Length + 1024);
        else
            _files += sign;
    }

    private sealed class Slot(StoredBody body)
    {
        public StoredBody Body { get; } = body;

        public bool Pinned { get; set; }
    }
}
