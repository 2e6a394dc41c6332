using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Hosts;

/// <summary>
/// An address or a CIDR range. IPv4 is kept in its IPv4-mapped form (RFC 4291, 2.5.5.2), so that <c>10.0.0.0/8</c> and
/// <c>::ffff:10.0.0.0/104</c> are the same range.
/// </summary>
/// <param name="Bits">The network address, host bits cleared.</param>
/// <param name="PrefixLength">0 to 128; IPv4 ranges lie at 96 and above.</param>
/// <param name="Text">As the user wrote it.</param>
internal readonly record struct IpRange(UInt128 Bits, int PrefixLength, string Text)
{
    /// <summary>The length of ::ffff:0:0/96, in which IPv4 lives.</summary>
    public const int MappedLength = 96;

    /// <summary>What an address literal consists of: no zone, no brackets, no port, which IPAddress.Parse would take as well.</summary>
    internal static readonly SearchValues<char> LiteralCharacters = SearchValues.Create("0123456789abcdefABCDEF:.");

    /// <summary>Reads an address or a CIDR range of either family. Host bits do not count: see <see cref="NetworkIfHostBits"/>.</summary>
    public static bool TryParse(string text, out IpRange range)
    {
        range = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var literal = slash < 0 ? text.AsSpan() : text.AsSpan(0, slash);
        if (literal.ContainsAnyExcept(LiteralCharacters) || !IPAddress.TryParse(literal, out var address))
            return false;
        var v4 = address.AddressFamily == AddressFamily.InterNetwork;
        // "10.1" is an address to inet_aton and a slip to a reader, as is 010.0.0.0, which is 8.0.0.0 there: ranges are written in full, in decimal.
        if (v4 && (literal.Count('.') != 3 || !literal.SequenceEqual(address.ToString())))
            return false;
        var length = v4 ? 32 : 128;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var written)
            || written > length || (length = written) < 0))
            return false;
        if (v4)
            length += MappedLength;
        range = new IpRange(ToBits(address) & Mask(length), length, text);
        return true;
    }

    /// <summary>Whether the address lies in the range; zones are ignored. <c>::/0</c> holds no IPv4 address.</summary>
    public bool Contains(IPAddress address)
    {
        var bits = ToBits(address);
        return (bits & Mask(PrefixLength)) == Bits && (PrefixLength >= MappedLength || !IsMapped(bits));
    }

    /// <summary>The range as it counts, where the address that was written has bits beyond the prefix: most likely one of the two is a slip.
    /// Null where it has none.</summary>
    public string? NetworkIfHostBits()
    {
        if (Text.IndexOf('/', StringComparison.Ordinal) is not (> 0 and var slash) || !IPAddress.TryParse(Text.AsSpan(0, slash), out var written)
            || ToBits(written) == Bits)
            return null;
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, Bits);
        return $"{new IPAddress(written.AddressFamily == AddressFamily.InterNetwork ? bytes[12..] : bytes)}{Text[slash..]}";
    }

    public override string ToString() => Text;

    internal static UInt128 ToBits(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var written);
        return written == 16
            ? BinaryPrimitives.ReadUInt128BigEndian(bytes)
            : (UInt128)0xffff << 32 | BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    internal static UInt128 Mask(int length) => length == 0 ? 0 : UInt128.MaxValue << (128 - length);

    internal static bool IsMapped(UInt128 bits) => bits >> 32 == 0xffff;
}
