using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Hosts;

/// <summary>
/// IPv4 addresses carried inside IPv6 ones. A router or host on the way unwraps them, so a rule about 169.254.169.254 has to see it in
/// 64:ff9b::a9fe:a9fe as well.
/// </summary>
internal static class EmbeddedAddresses
{
    /// <summary>
    /// Every address that <paramref name="address"/> may end up at: the IPv4 addresses it embeds, and itself unless it merely is a
    /// spelling of one. Never empty.
    /// </summary>
    public static IReadOnlyList<IPAddress> Of(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
            return [address];
        Span<byte> b = stackalloc byte[16];
        address.TryWriteBytes(b, out _);
        var plain = new IPAddress(b);

        //  ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), ::ffff:0:a.b.c.d (RFC 7915), ::a.b.c.d (deprecated, 2.5.5.1; :: and ::1 are not of them)
        if (StartsWith(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff))
            return [V4(b, 12)];
        if (StartsWith(b, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0)
            || (StartsWith(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) && (b[12] | b[13] | b[14]) != 0))
            return [plain, V4(b, 12)];

        //  64:ff9b::a.b.c.d (RFC 6052)
        if (StartsWith(b, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0))
            return [V4(b, 12)];
        if (StartsWith(b, 0, 0x64, 0xff, 0x9b, 0, 1))
            return OfLocalNat64(b, plain);

        //  2002:AABB:CCDD::/48, 6to4 (RFC 3056)
        if (StartsWith(b, 0x20, 0x02))
            return [plain, V4(b, 2)];
        //  2001:0:SERVER:flags:port:~CLIENT, Teredo (RFC 4380, 4)
        if (StartsWith(b, 0x20, 0x01, 0, 0))
            return [plain, V4(b, 4), Join((byte)~b[12], (byte)~b[13], (byte)~b[14], (byte)~b[15])];
        //  PREFIX:0:5efe:a.b.c.d, ISATAP (RFC 5214, 6.1); the universal bit may be set
        if ((b[8] & 0xfd) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe)
            return [plain, V4(b, 12)];
        return [plain];
    }

    //  64:ff9b:1::/48 (RFC 8215). The network chooses where the address stands (RFC 6052, 2.2), the rest of the suffix is zero:
    //
    //        6  7  8  9 10 11 12 13 14 15
    //  /48   a  b  u  c  d  0  0  0  0  0
    //  /56   .  a  u  b  c  d  0  0  0  0
    //  /64   .  .  u  a  b  c  d  0  0  0
    //  /96   .  .  u  .  .  .  a  b  c  d
    private static List<IPAddress> OfLocalNat64(ReadOnlySpan<byte> b, IPAddress plain)
    {
        List<IPAddress> found = [plain];
        if (!b[13..].ContainsAnyExcept((byte)0))
            found.Add(Join(b[9], b[10], b[11], b[12]));
        if (!b[12..].ContainsAnyExcept((byte)0))
            found.Add(Join(b[7], b[9], b[10], b[11]));
        if (!b[11..].ContainsAnyExcept((byte)0))
            found.Add(Join(b[6], b[7], b[9], b[10]));
        if (b[12..].ContainsAnyExcept((byte)0))
            found.Add(V4(b, 12));
        return found;
    }

    private static bool StartsWith(ReadOnlySpan<byte> bytes, params ReadOnlySpan<byte> prefix) => bytes.StartsWith(prefix);

    private static IPAddress V4(ReadOnlySpan<byte> bytes, int at) => new(bytes.Slice(at, 4));

    private static IPAddress Join(byte a, byte b, byte c, byte d) => new([a, b, c, d]);
}
