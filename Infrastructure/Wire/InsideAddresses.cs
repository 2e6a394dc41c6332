using System.Net;
using System.Net.NetworkInformation;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Infrastructure.Wire;

/// <param name="Interface">Its name; empty where no interface tells of the address, as with most of 127.0.0.0/8.</param>
/// <param name="Address">One of this machine's own.</param>
internal sealed record InsideAddress(string Interface, IPAddress Address);

/// <summary>The addresses of this machine in the networks that a gateway serves.</summary>
internal static class InsideAddresses
{
    private static readonly string[] Forwarding = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

    /// <summary>Those in the ranges; without any, those of all interfaces that no default route leads through, as those of a network without a way
    /// out do; where there is no such interface (a pod has one alone), of all.</summary>
    public static IReadOnlyList<InsideAddress> Find(IReadOnlyCollection<IpRange> ranges)
    {
        var interfaces = Interfaces();
        if (ranges.Count > 0)
        {
            InsideAddress[] found = [.. interfaces.SelectMany(Addresses).Where(inside => ranges.Any(range => range.Contains(inside.Address)))];
            // An address that is written in full need not be one that an interface tells of.
            var written = ranges.Select(range => IPAddress.TryParse(range.Text, out var address) ? address : null).OfType<IPAddress>();
            return [.. found, .. written.Where(address => !found.Any(inside => inside.Address.Equals(address)) && ListenAddresses.IsOwn(address)).Select(address => new InsideAddress("", address))];
        }

        var inside = interfaces.Where(i => !i.GetIPProperties().GatewayAddresses.Any(gateway => !gateway.Address.Equals(IPAddress.Any))).SelectMany(Addresses).ToList();
        return inside.Count > 0 ? inside : [.. interfaces.SelectMany(Addresses)];
    }

    /// <summary>Whether this machine passes on packets that are not for it, of either family.</summary>
    public static bool IsForwarding() => Forwarding.Any(path => File.Exists(path) && File.ReadAllText(path).Trim() != "0");

    /// <summary>Whether there is an interface besides these that leads anywhere.</summary>
    public static bool AreOthers(IReadOnlyCollection<string> interfaces) => Interfaces().Any(i => !interfaces.Contains(i.Name));

    private static List<NetworkInterface> Interfaces() => [.. NetworkInterface.GetAllNetworkInterfaces().Where(i =>
        i.NetworkInterfaceType != NetworkInterfaceType.Loopback && i.OperationalStatus is OperationalStatus.Up or OperationalStatus.Unknown)];

    // Addresses of one link alone need its name to be dialled.
    private static IEnumerable<InsideAddress> Addresses(NetworkInterface from) => from.GetIPProperties().UnicastAddresses
        .Select(unicast => unicast.Address).Where(address => !address.IsIPv6LinkLocal).Select(address => new InsideAddress(from.Name, address));
}
