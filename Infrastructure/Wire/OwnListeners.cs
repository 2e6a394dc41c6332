using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

/// <summary>The addresses this process listens on: a request that would reach them is a loop (508).</summary>
internal sealed class OwnListeners(IReadOnlyCollection<IPEndPoint> endpoints)
{
    /// <summary>Whether connecting to <paramref name="address"/> would reach us. Any loopback address counts, whichever we are bound to.</summary>
    public bool Contains(IPEndPoint address)
    {
        var ip = address.Address.IsIPv4MappedToIPv6 ? address.Address.MapToIPv4() : address.Address;
        var toSelf = IPAddress.IsLoopback(ip) || ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any);
        return endpoints.Any(e => e.Port == address.Port && (toSelf || e.Address.Equals(ip)));
    }

    public bool HasPort(int port) => endpoints.Any(e => e.Port == port);

    /// <summary>Whether any spelling leads to us: names are resolved, and every address of this machine counts. Costs nothing for other ports.</summary>
    public async ValueTask<bool> ContainsAsync(ConnectTarget target, NameLookups names, CancellationToken cancellation)
    {
        if (!HasPort(target.Port))
            return false;
        if (target.Host == "localhost" || target.Host.EndsWith(".localhost", StringComparison.Ordinal))
            return true;
        try
        {
            // Literals are not given to the resolver: it refuses 0.0.0.0.
            var addresses = IPAddress.TryParse(target.Host, out var literal)
                ? [literal]
                : await names.ResolveAsync(target.Host, cancellation);
            return addresses.Any(address => Contains(new IPEndPoint(address, target.Port)) || IsOfThisMachine(address));
        }
        catch (SocketException)
        {
            return false;
        }
    }

    // The kernel reaches its own addresses from themselves. Connecting a datagram socket sends nothing.
    private static bool IsOfThisMachine(IPAddress address)
    {
        try
        {
            using var probe = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            probe.Connect(address, 9);
            return ((IPEndPoint)probe.LocalEndPoint!).Address.Equals(address);
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
