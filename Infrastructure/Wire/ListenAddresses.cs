using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

/// <summary>Where this machine can listen.</summary>
internal static class ListenAddresses
{
    /// <summary>The addresses at a port, without those of IPv6 where the machine has none: containers often have the protocol but no address of it.</summary>
    public static IPEndPoint[] Usable(IEnumerable<IPAddress> addresses, int port) =>
    [
        .. addresses
            .Where(address => address.AddressFamily != AddressFamily.InterNetworkV6 || (Socket.OSSupportsIPv6 && HasIPv6Loopback()))
            .Select(address => new IPEndPoint(address, port)),
    ];

    private static bool HasIPv6Loopback()
    {
        try
        {
            using var probe = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            probe.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
