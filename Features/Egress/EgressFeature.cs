using System.Net;
using Discobot.Features.Egress.Dns;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress;

/// <summary>The proxy's side of enforced egress: it answers questions for names, and knows which name an address was given for.</summary>
internal static class EgressFeature
{
    /// <summary>The table of the packet filter that is ours, of family inet.</summary>
    public const string Table = "discobot";

    private const string ResolverFile = "/etc/resolv.conf";

    public static IServiceCollection AddEgress(this IServiceCollection services, EgressOptions options, DnsOptions names)
    {
        if (!options.IsServed)
            return services.AddLearnedNames();
        return services
            .AddResolver(options.Mode!.Value, names)
            .AddHostedService(provider => new DnsServer(
                provider.GetRequiredService<DnsResolver>(), Loopback(options.DnsPort), provider.GetRequiredService<ILogger<DnsServer>>()));
    }

    /// <summary>The resolver and what it remembers.</summary>
    public static IServiceCollection AddResolver(this IServiceCollection services, EgressMode mode, DnsOptions names) => services
        .AddLearnedNames()
        .AddSingleton(new NameServers(ResolverFile))
        .AddSingleton(provider => new DnsResolver(
            provider.GetRequiredService<IEgressPolicy>(), mode, names, provider.GetRequiredService<NameServers>(),
            provider.GetRequiredService<LearnedNames>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<FlowRecorder>(),
            provider.GetRequiredService<ILogger<DnsResolver>>()));

    private static IServiceCollection AddLearnedNames(this IServiceCollection services) => services
        .AddSingleton<LearnedNames>()
        .AddSingleton<IAddressNames>(provider => provider.GetRequiredService<LearnedNames>());

    /// <summary>Where the connections of nested containers are led, as they cannot be to the loopback's own addresses: two that the init gives to
    /// the loopback interface (RFC 3927 and RFC 4193).</summary>
    public static readonly IPAddress[] Nested = [IPAddress.Parse("169.254.17.82"), IPAddress.Parse("fdd1:5c0b:07::1")];

    /// <summary>The addresses that this machine has of those where what is redirected arrives, at a port.</summary>
    public static IPEndPoint[] Loopback(int port) =>
        [.. ListenAddresses.Usable([IPAddress.Loopback, IPAddress.IPv6Loopback], port), .. Nested.Where(ListenAddresses.IsOwn).Select(address => new IPEndPoint(address, port))];
}
