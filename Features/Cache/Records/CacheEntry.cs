namespace Discobot.Features.Cache.Records;

/// <summary>
/// One record as the index knows it, about 150 bytes; records of one digest share its body. Headers and the key's text stay on disk until the entry is asked for. The links of
/// the recency list belong to <see cref="CacheIndex"/> and are guarded by its lock.
/// </summary>
internal sealed class CacheEntry(Hash256 key, Hash256 digest, long size, long storedAt, string origin, BodyKind kind, bool isFormer = false)
{
    /// <summary>SHA-256 of the key: the name of the file.</summary>
    public Hash256 Key { get; } = key;

    /// <summary>SHA-256 of the body, known for every entry whether or not its address names it.</summary>
    public Hash256 Digest { get; } = digest;

    /// <summary>Bytes of the body.</summary>
    public long Size { get; } = size;

    /// <summary>Unix time in milliseconds.</summary>
    public long StoredAt { get; } = storedAt;

    /// <summary>As <see cref="CacheKey.Origin"/>; one string for all entries of an origin.</summary>
    public string Origin { get; } = origin;

    /// <summary>Whether an earlier version stored it, whose keys did not tell http from https.</summary>
    public bool IsFormer { get; } = isFormer;

    public BodyKind Kind { get; } = kind;

    /// <summary>
    /// The file's last write, in ticks, when its digest was last seen to be right; 0 before that. A file that was touched since is checked again.
    /// </summary>
    public long VerifiedStamp { get => Volatile.Read(ref _verifiedStamp); set => Volatile.Write(ref _verifiedStamp, value); }

    private long _verifiedStamp;

    internal CacheEntry? Older { get; set; }
    internal CacheEntry? Newer { get; set; }
    internal CacheEntry? NextOfDigest { get; set; }
    internal bool InIndex { get; set; }
}
