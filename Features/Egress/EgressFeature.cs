using System.Net;
using System.Net.Sockets;
using Discobot.Features.Egress.Dns;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress;

/// <summary>The proxy's side of enforced egress: it answers questions for names, and knows which name an address was given for.</summary>
internal static class EgressFeature
{
    private const string ResolverFile = "/etc/resolv.conf";

    public static IServiceCollection AddEgress(this IServiceCollection services, EgressOptions options)
    {
        services.AddSingleton<LearnedNames>().AddSingleton<IAddressNames>(provider => provider.GetRequiredService<LearnedNames>());
        if (!options.IsServed)
            return services;
        return services
            .AddSingleton(new NameServers(ResolverFile))
            .AddSingleton<DnsResolver>()
            .AddHostedService(provider => ActivatorUtilities.CreateInstance<DnsServer>(provider, Loopback(options.DnsPort)));
    }

    /// <summary>The loopback addresses that this machine has, at a port.</summary>
    public static IReadOnlyList<IPEndPoint> Loopback(int port) =>
    [
        .. new[] { IPAddress.Loopback, IPAddress.IPv6Loopback }
            .Where(address => address.AddressFamily == AddressFamily.InterNetwork || HasIPv6Loopback())
            .Select(address => new IPEndPoint(address, port)),
    ];

    // Containers often have the protocol but no address of it.
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
