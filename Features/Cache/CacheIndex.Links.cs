using System.Runtime.InteropServices;

namespace Discobot.Features.Cache;

/// <summary>The recency list and the dictionaries, each touched under the lock only.</summary>
internal sealed partial class CacheIndex
{
    private CacheEntry? Lookup(CacheTarget target)
    {
        if (!_byKey.TryGetValue(target.Key.Hash, out var entry)
            && !(target.ByDigest && _byDigest.TryGetValue(target.Digest!.Value.Hash, out entry)))
            return null;

        // A body fetched as a blob came with a blob's media type: clients refuse a manifest that carries it.
        return target.Kind == BodyKind.Manifest && entry.Kind != BodyKind.Manifest ? null : entry;
    }

    private void Insert(CacheEntry entry)
    {
        _byKey.Add(entry.Key, entry);
        ref var alias = ref CollectionsMarshal.GetValueRefOrAddDefault(_byDigest, entry.Digest, out var known);
        if (!known || entry.Kind == BodyKind.Manifest)
            alias = entry;
        CollectionsMarshal.GetValueRefOrAddDefault(_hosts, entry.Host, out _)++;
        entry.InIndex = true;
        _size += entry.Size;
        _changes++;
    }

    private bool RemoveLocked(CacheEntry entry)
    {
        if (!entry.InIndex)
            return false;
        Unlink(entry);
        _byKey.Remove(entry.Key);
        if (_byDigest.TryGetValue(entry.Digest, out var alias) && alias == entry)
            _byDigest.Remove(entry.Digest);
        if (--CollectionsMarshal.GetValueRefOrAddDefault(_hosts, entry.Host, out _) == 0)
            _hosts.Remove(entry.Host);
        entry.InIndex = false;
        _size -= entry.Size;
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
