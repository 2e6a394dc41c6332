using System.Buffers.Binary;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// The entries of a directory as the kernel gave them (getdents64(2)): inode, offset, length of the record, kind, name. Names are compared
/// where they stand, so that two listings of many files are told apart without an object for each.
/// </summary>
internal sealed class DirectoryListing
{
    /// <summary>What the kernel gets to write into at a time; the records are kept without what is left of it, as most directories are small.</summary>
    public const int Room = 32 * 1024;

    private const int LengthAt = 16;
    private const int KindAt = 18;
    private const int NameAt = 19;
    private readonly List<int> _records = [];
    private byte[] _bytes = [];
    private int _length;
    private int[]? _slots;

    public int Count => _records.Count;

    /// <summary>Takes the records that the kernel has written; <c>.</c> and <c>..</c> are left out.</summary>
    public void Add(ReadOnlySpan<byte> records)
    {
        if (_bytes.Length - _length < records.Length)
            Array.Resize(ref _bytes, _length == 0 ? records.Length : Math.Max(_bytes.Length * 2, _length + records.Length));
        records.CopyTo(_bytes.AsSpan(_length));
        for (var (at, end) = (_length, _length + records.Length); at < end; at += BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(at + LengthAt)))
        {
            var name = Text(at);
            if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                _records.Add(at);
        }

        _length += records.Length;
    }

    public List<FileName> Names() => [.. Enumerable.Range(0, Count).Select(Name)];

    /// <summary>The name of an entry, 0 to <see cref="Count"/>.</summary>
    public FileName Name(int entry)
    {
        var text = Text(_records[entry]);
        return new FileName(_bytes.AsSpan(_records[entry] + NameAt, text.Length + 1).ToArray());
    }

    /// <summary>The kind of an entry; null where the file system does not tell.</summary>
    public FileKind? Kind(int entry) => _bytes[_records[entry] + KindAt] switch
    {
        0 => null,
        4 => FileKind.Directory,
        8 => FileKind.Regular,
        10 => FileKind.Symlink,
        _ => FileKind.Other,
    };

    /// <summary>The entry here that has the name of one there; -1 when there is none.</summary>
    public int Find(DirectoryListing other, int entry)
    {
        var name = other.Text(other._records[entry]);
        var slots = _slots ??= Hashed();
        for (var slot = Hash(name) & (slots.Length - 1); slots[slot] != 0; slot = (slot + 1) & (slots.Length - 1))
        {
            if (Text(_records[slots[slot] - 1]).SequenceEqual(name))
                return slots[slot] - 1;
        }

        return -1;
    }

    // FNV-1a, folded.
    private static int Hash(ReadOnlySpan<byte> name)
    {
        var hash = 2166136261u;
        foreach (var b in name)
            hash = (hash ^ b) * 16777619;
        return (int)(hash ^ (hash >> 15));
    }

    // Open addressing, at most half full; 0 is a free slot.
    private int[] Hashed()
    {
        var slots = new int[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)(2 * Count + 1))];
        for (var entry = 0; entry < Count; entry++)
        {
            var slot = Hash(Text(_records[entry])) & (slots.Length - 1);
            while (slots[slot] != 0)
                slot = (slot + 1) & (slots.Length - 1);
            slots[slot] = entry + 1;
        }

        return slots;
    }

    private ReadOnlySpan<byte> Text(int record)
    {
        var rest = _bytes.AsSpan(record + NameAt);
        return rest[..rest.IndexOf((byte)0)];
    }
}
