using System.Net;
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
            .AddHostedService(provider => new DnsServer(
                provider.GetRequiredService<DnsResolver>(), Loopback(options.DnsPort), provider.GetRequiredService<ILogger<DnsServer>>()));
    }

    /// <summary>The loopback addresses that this machine has, at a port.</summary>
    public static IPEndPoint[] Loopback(int port) => ListenAddresses.Usable([IPAddress.Loopback, IPAddress.IPv6Loopback], port);
}
