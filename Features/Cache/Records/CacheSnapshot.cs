using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// The index as one file, least recently used first, so that order survives a restart and 100,000 entries are read in one go.
/// A file that is torn, altered or of another version is no snapshot: the metadata files are read instead.
/// </summary>
/// <remarks>Layout: magic and version (8 bytes), origins (count, strings), entries (count, then 90 bytes each), SHA-256 of all before it.</remarks>
internal static class CacheSnapshot
{
    private const byte KindBits = 0x7F;
    private const byte FormerBit = 0x80;

    private static ReadOnlySpan<byte> Magic => "DBCACHE4"u8;

    // Without the blocks of the metadata; before that,
    private static ReadOnlySpan<byte> SizelessMagic => "DBCACHE3"u8;

    // Without the times of use; and before that, the entries are those of a version whose keys had no scheme.
    private static ReadOnlySpan<byte> TimelessMagic => "DBCACHE2"u8;

    private static ReadOnlySpan<byte> FormerMagic => "DBCACHE1"u8;

    /// <summary>Writes beside and renames: a reader finds the old snapshot or the new one, never half of one.</summary>
    public static void Write(string path, ReadOnlySpan<CacheEntry> oldestFirst)
    {
        var temporary = path + ".new";
        using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1))
        using (var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256))
        {
            using (var buffered = new BufferedStream(new HashingStream(file, hash), 1 << 16))
            using (var writer = new BinaryWriter(buffered, Encoding.UTF8, leaveOpen: true))
                WriteEntries(writer, oldestFirst);
            file.Write(hash.GetHashAndReset());
        }

        File.Move(temporary, path, overwrite: true);
    }

    /// <returns>The entries, least recently used first; none when there is no usable snapshot.</returns>
    public static List<CacheEntry> Read(string path)
    {
        if (!File.Exists(path) || !RegularFile.IsOrMissing(path))
            return [];
        using var file = new BufferedStream(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1), 1 << 16);
        var magic = new byte[Magic.Length];
        file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false);
        var former = FormerMagic.SequenceEqual(magic);
        var sized = Magic.SequenceEqual(magic);
        var timed = sized || SizelessMagic.SequenceEqual(magic);
        if ((!former && !timed && !TimelessMagic.SequenceEqual(magic)) || !IsWhole(file))
            return [];
        file.Position = Magic.Length;
        using var reader = new BinaryReader(file, Encoding.UTF8);
        return ReadEntries(reader, former, timed, sized);
    }

    // Read twice rather than held in one piece, which for a million entries is 90 MB.
    private static bool IsWhole(Stream file)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var left = file.Length - Hash256.Size;
        file.Position = 0;
        Span<byte> piece = stackalloc byte[Hash256.Size * 128];
        while (left > 0)
        {
            var count = file.Read(piece[..(int)Math.Min(left, piece.Length)]);
            if (count == 0)
                return false;
            hash.AppendData(piece[..count]);
            left -= count;
        }

        var expected = piece[..Hash256.Size];
        return left == 0 && file.ReadAtLeast(expected, expected.Length, throwOnEndOfStream: false) == expected.Length
            && expected.SequenceEqual(hash.GetHashAndReset());
    }

    private static void WriteEntries(BinaryWriter writer, ReadOnlySpan<CacheEntry> entries)
    {
        writer.Write(Magic);
        var hosts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in entries)
            hosts.TryAdd(entry.Origin, hosts.Count);
        writer.Write(hosts.Count);
        foreach (var host in hosts.Keys)
            writer.Write(host);
        writer.Write(entries.Length);
        Span<byte> hash = stackalloc byte[Hash256.Size];
        foreach (var entry in entries)
        {
            entry.Key.Write(hash);
            writer.Write(hash);
            entry.Digest.Write(hash);
            writer.Write(hash);
            writer.Write(entry.Size);
            writer.Write(entry.StoredAt);
            writer.Write(hosts[entry.Origin]);
            writer.Write((byte)((byte)entry.Kind | (entry.IsFormer ? FormerBit : 0)));
            writer.Write(entry.UsedSeconds);
            writer.Write(entry.MetadataBlocks);
        }
    }

    private static List<CacheEntry> ReadEntries(BinaryReader reader, bool former, bool timed, bool sized)
    {
        var hosts = new string[reader.ReadInt32()];
        for (var i = 0; i < hosts.Length; i++)
            hosts[i] = string.Intern(reader.ReadString());
        var entries = new List<CacheEntry>(reader.ReadInt32());
        Span<byte> hash = stackalloc byte[Hash256.Size];
        for (var i = 0; i < entries.Capacity; i++)
        {
            reader.ReadExactly(hash);
            var key = Hash256.Read(hash);
            reader.ReadExactly(hash);
            var digest = Hash256.Read(hash);
            var (size, storedAt, host) = (reader.ReadInt64(), reader.ReadInt64(), hosts[reader.ReadInt32()]);
            var flags = reader.ReadByte();
            var used = timed ? reader.ReadUInt32() : (uint?)null;
            var entry = new CacheEntry(key, digest, size, storedAt, host, (BodyKind)(flags & KindBits), former || (flags & FormerBit) != 0)
            {
                Missing = EntryFiles.Both,
                MetadataBlocks = sized ? reader.ReadByte() : (byte)1,
            };
            entry.UsedSeconds = used ?? entry.UsedSeconds;
            entries.Add(entry);
        }

        return entries;
    }

    private sealed class HashingStream(Stream inner, IncrementalHash hash) : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() => inner.Flush();
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            hash.AppendData(buffer);
            inner.Write(buffer);
        }
    }
}
