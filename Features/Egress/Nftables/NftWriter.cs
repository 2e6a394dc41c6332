using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Discobot.Features.Egress.Nftables;

/// <summary>
/// Writes nf_tables messages (linux/netfilter/nf_tables.h): a header, then attributes that may nest. Lengths are filled in when a message or a
/// nest is closed. Numbers within attributes are in network order, those of the netlink header in the machine's own.
/// </summary>
internal sealed class NftWriter
{
    private const ushort Subsystem = 10;
    private const ushort BatchBegin = 0x10;
    private const ushort BatchEnd = 0x11;
    private const ushort Request = 1;
    private const ushort Acknowledge = 4;
    private const ushort Nested = 0x8000;
    private const byte Inet = 1;

    private readonly List<byte> _bytes = [];
    private readonly List<uint> _answered = [];
    private uint _sequence;

    /// <summary>Numbers of the messages that the kernel answers.</summary>
    public IReadOnlyCollection<uint> Answered => _answered;

    /// <summary>The whole transaction: everything between begin and end takes effect at once, or nothing does.</summary>
    public ReadOnlySpan<byte> ToBatch()
    {
        Header(BatchEnd, Request, family: 0, Subsystem);
        return CollectionsMarshal.AsSpan(_bytes);
    }

    public NftWriter() => Header(BatchBegin, Request, family: 0, Subsystem);

    /// <summary>One command about a table, chain or rule of family inet.</summary>
    /// <param name="type">Its NFT_MSG_ number.</param>
    /// <param name="flags">NLM_F_ flags beside REQUEST and ACK.</param>
    /// <param name="attributes">Writes what it is about.</param>
    public void Message(ushort type, ushort flags, Action<NftWriter> attributes)
    {
        _answered.Add(_sequence + 1);
        var start = Header((ushort)(Subsystem << 8 | type), (ushort)(Request | Acknowledge | flags), Inet, 0);
        attributes(this);
        Span<byte> length = stackalloc byte[4];
        BitConverter.TryWriteBytes(length, (uint)(_bytes.Count - start));
        Patch(start, length);
    }

    public void Text(ushort type, string text) => Bytes(type, [.. Encoding.UTF8.GetBytes(text), 0]);

    public void Number(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Bytes(type, bytes);
    }

    public void Bytes(ushort type, ReadOnlySpan<byte> value)
    {
        Span<byte> header = stackalloc byte[4];
        BitConverter.TryWriteBytes(header, (ushort)(4 + value.Length));
        BitConverter.TryWriteBytes(header[2..], type);
        _bytes.AddRange(header);
        _bytes.AddRange(value);
        Pad();
    }

    public void Nest(ushort type, Action<NftWriter> content)
    {
        var start = _bytes.Count;
        Span<byte> header = stackalloc byte[4];
        BitConverter.TryWriteBytes(header[2..], (ushort)(type | Nested));
        _bytes.AddRange(header);
        content(this);
        BitConverter.TryWriteBytes(header, (ushort)(_bytes.Count - start));
        Patch(start, header[..2]);
    }

    private int Header(ushort type, ushort flags, byte family, ushort resource)
    {
        var start = _bytes.Count;
        Span<byte> header = stackalloc byte[20];
        header.Clear();
        BitConverter.TryWriteBytes(header, 20u);
        BitConverter.TryWriteBytes(header[4..], type);
        BitConverter.TryWriteBytes(header[6..], flags);
        BitConverter.TryWriteBytes(header[8..], ++_sequence);
        header[16] = family;
        BinaryPrimitives.WriteUInt16BigEndian(header[18..], resource);
        _bytes.AddRange(header);
        return start;
    }

    private void Patch(int at, ReadOnlySpan<byte> bytes) => bytes.CopyTo(CollectionsMarshal.AsSpan(_bytes)[at..]);

    private void Pad()
    {
        while (_bytes.Count % 4 != 0)
            _bytes.Add(0);
    }
}
