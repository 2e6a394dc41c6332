using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Socks5;

/// <summary>An address and port as SOCKS writes them.</summary>
/// <param name="Host">The canonical name or address; null when the client's bytes are neither.</param>
/// <param name="Port">0 to 65535.</param>
//
//  ATYP 1: 4 octets, IPv4      ATYP 3: 1 octet of length, then a name      ATYP 4: 16 octets, IPv6      RFC 1928, 5
//  followed by the port, 2 octets, network order
internal readonly record struct SocksAddress(CanonicalHost? Host, int Port)
{
    private const byte V4 = 1;
    private const byte Name = 3;
    private const byte V6 = 4;

    /// <summary>The longest form: type, length, 255 octets, port.</summary>
    public const int MaxLength = 1 + 1 + 255 + 2;

    public static SocksRead TryRead(ref SequenceReader<byte> reader, out SocksAddress address)
    {
        address = default;
        if (!reader.TryRead(out var type))
            return SocksRead.Incomplete;
        byte length = 0;
        switch (type)
        {
            case V4:
                length = 4;
                break;
            case V6:
                length = 16;
                break;
            case Name when !reader.TryRead(out length):
                return SocksRead.Incomplete;
            case Name:
                break;
            default:
                return SocksRead.UnknownAddressType;
        }

        if (!reader.TryReadExact(length, out var bytes) || !reader.TryReadBigEndian(out short port))
            return SocksRead.Incomplete;
        address = new SocksAddress(type == Name ? ReadName(bytes) : ReadLiteral(bytes), (ushort)port);
        return SocksRead.Done;
    }

    /// <summary>Writes type, address and port.</summary>
    /// <returns>The number of bytes written, at most <see cref="MaxLength"/>.</returns>
    public static int Write(IPEndPoint endpoint, Span<byte> to)
    {
        var address = endpoint.Address.IsIPv4MappedToIPv6 ? endpoint.Address.MapToIPv4() : endpoint.Address;
        to[0] = address.AddressFamily == AddressFamily.InterNetwork ? V4 : V6;
        address.TryWriteBytes(to[1..], out var length);
        to[length + 1] = (byte)(endpoint.Port >> 8);
        to[length + 2] = (byte)endpoint.Port;
        return length + 3;
    }

    private static CanonicalHost? ReadLiteral(in ReadOnlySequence<byte> bytes)
    {
        Span<byte> copy = stackalloc byte[(int)bytes.Length];
        bytes.CopyTo(copy);
        return CanonicalHost.Of(new IPAddress(copy));
    }

    // Some clients put literals here, some UTF-8; both come out in canonical form.
    private static CanonicalHost? ReadName(in ReadOnlySequence<byte> bytes) =>
        CanonicalHost.TryParse(Encoding.UTF8.GetString(bytes), out var host) ? host : null;
}
