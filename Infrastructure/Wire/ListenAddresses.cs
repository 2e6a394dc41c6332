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
            .Where(address => address.AddressFamily != AddressFamily.InterNetworkV6 || (Socket.OSSupportsIPv6 && IsOwn(IPAddress.IPv6Loopback)))
            .Select(address => new IPEndPoint(address, port)),
    ];

    /// <summary>Whether this machine has the address.</summary>
    public static bool IsOwn(IPAddress address)
    {
        try
        {
            using var probe = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            probe.Bind(new IPEndPoint(address, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
