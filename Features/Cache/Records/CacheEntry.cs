namespace Discobot.Features.Cache.Records;

/// <summary>
/// One record as the index knows it, about 180 bytes with its places in the index; records of one digest share its body. Headers and the key's text stay on disk until the entry is asked for. The links of
/// the recency list belong to <see cref="CacheIndex"/> and are guarded by its lock.
/// </summary>
internal sealed class CacheEntry(Hash256 key, Hash256 digest, long size, long storedAt, string origin, BodyKind kind, bool isFormer = false)
{
    /// <summary>What the smallest file takes of a disk.</summary>
    public const int Block = 4096;

    // Of a record in its directory, which keeps room between the names, and in the snapshot.
    private const int NamesSize = 512;
    private const byte FormerBit = 0x80;

    // In one byte: there are millions of entries.
    private readonly byte _kind = (byte)((byte)kind | (isFormer ? FormerBit : 0));

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
    public bool IsFormer => (_kind & FormerBit) != 0;

    public BodyKind Kind => (BodyKind)(_kind & ~FormerBit);

    /// <summary>Bytes that the record takes of the disk, its body aside.</summary>
    public long RecordSize => (MetadataBlocks * (long)Block) + NamesSize;

    /// <summary>Bytes that its body takes, however many share it.</summary>
    public long BodySize => DiskSize(Size);

    /// <summary>Bytes that the smallest record with a body of so many takes.</summary>
    public static long Smallest(long body) => DiskSize(body) + Block + NamesSize;

    private static long DiskSize(long bytes) => (bytes + Block - 1) / Block * Block;

    /// <summary>Blocks of its metadata's file, at least one; beyond 255, which nothing that can be read again has, 255.</summary>
    internal byte MetadataBlocks { get; init; } = 1;

    internal static byte BlocksOf(long metadata) => (byte)Math.Clamp((metadata + Block - 1) / Block, 1, byte.MaxValue);

    /// <summary>
    /// The file's last write, in ticks, when its digest was last seen to be right; 0 before that. A file that was touched since is checked again.
    /// </summary>
    public long VerifiedStamp { get => Volatile.Read(ref _verifiedStamp); set => Volatile.Write(ref _verifiedStamp, value); }

    /// <summary>When a request last used it, or it came in; to the second.</summary>
    public DateTimeOffset UsedAt => DateTimeOffset.FromUnixTimeSeconds(UsedSeconds);

    /// <summary>The same, as the index and the snapshot keep it: four bytes, good until the year 2106.</summary>
    internal uint UsedSeconds { get; set; } = (uint)Math.Clamp(storedAt / 1000, 0, uint.MaxValue);

    /// <summary>Of an entry that only the snapshot knows: which of its files the listing of the directory has not come across yet.</summary>
    internal EntryFiles Missing { get; set; }

    private long _verifiedStamp;

    internal CacheEntry? Older { get; set; }
    internal CacheEntry? Newer { get; set; }
    internal bool InIndex { get; set; }

    // Of the tables (EntryTable), which hand out references to them.
    internal CacheEntry? NextOfKey;
    internal CacheEntry? NextOfDigest;
}
