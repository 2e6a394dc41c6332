using System.Buffers.Binary;
using System.Globalization;
using System.Net;

namespace Discobot.Infrastructure.Hosts;

/// <summary>
/// IPv4 in every spelling inet_aton(3) and the URL Standard accept: one to four parts, each decimal, octal (leading 0) or
/// hexadecimal (leading 0x); the last part fills the bytes that are left.
/// </summary>
internal static class InetAton
{
    /// <summary>Whether the last label is a number, so that the whole must be an IPv4 address (URL Standard, 3.5).</summary>
    public static bool EndsInNumber(ReadOnlySpan<char> host)
    {
        var last = host[(host.LastIndexOf('.') + 1)..];
        if (last.IsEmpty)
            return false;
        return !last.ContainsAnyExceptInRange('0', '9') || TryParsePart(last, out _);
    }

    public static bool TryParse(ReadOnlySpan<char> host, out IPAddress address)
    {
        address = IPAddress.None;
        ulong value = 0;
        var parts = 0;
        foreach (var range in host.Split('.'))
        {
            if (++parts > 4 || !TryParsePart(host[range], out var part))
                return false;
            var last = range.End.GetOffset(host.Length) == host.Length;
            var bits = last ? 8 * (5 - parts) : 8;
            if (part >= 1UL << bits)
                return false;
            value = value << bits | part;
        }

        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)value);
        address = new IPAddress(bytes);
        return true;
    }

    private static bool TryParsePart(ReadOnlySpan<char> part, out ulong value)
    {
        value = 0;
        if (part.IsEmpty || part.Length > 64)
            return false;
        if (part.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            var hex = part[2..].TrimStart('0');
            return hex.IsEmpty || ulong.TryParse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
        }

        return part.Length > 1 && part[0] == '0'
            ? TryParseOctal(part, out value)
            : ulong.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }

    private static bool TryParseOctal(ReadOnlySpan<char> part, out ulong value)
    {
        value = 0;
        foreach (var c in part)
        {
            if (c is < '0' or > '7' || value > uint.MaxValue)
                return false;
            value = value << 3 | (uint)(c - '0');
        }

        return true;
    }
}
