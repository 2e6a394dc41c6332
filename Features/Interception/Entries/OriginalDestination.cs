using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Discobot.Features.Interception.Entries;

/// <summary>Where a redirected connection was going (netfilter's SO_ORIGINAL_DST).</summary>
internal static class OriginalDestination
{
    // linux/netfilter_ipv4.h and netfilter_ipv6/ip6_tables.h: the same number at the level of each family.
    private const int Option = 80;
    private const int IPv4Level = 0;
    private const int IPv6Level = 41;

    /// <returns>Null when nothing redirected it: somebody opened a connection to the listener itself.</returns>
    public static IPEndPoint? Of(Socket socket)
    {
        // struct sockaddr_in6 is the larger of the two: family 2, port 2, flow 4, address 16, scope 4.
        Span<byte> address = stackalloc byte[28];
        var isV4 = socket.LocalEndPoint is IPEndPoint { AddressFamily: AddressFamily.InterNetwork };
        try
        {
            var length = socket.GetRawSocketOption(isV4 ? IPv4Level : IPv6Level, Option, address);
            if (length < (isV4 ? 8 : 24))
                return null;
        }
        catch (SocketException)
        {
            return null;
        }

        var port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        var destination = new IPEndPoint(new IPAddress(isV4 ? address[4..8] : address[8..24]), port);
        return destination.Equals(socket.LocalEndPoint) ? null : destination;
    }
}
