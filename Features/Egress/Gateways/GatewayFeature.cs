using Discobot.Features.Egress.Dns;
using Discobot.Features.Egress.Nftables;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress.Gateways;

/// <summary>What a gateway has beyond a proxy: it answers questions for names, and knows who asked for which.</summary>
internal static class GatewayFeature
{
    public static IServiceCollection AddGateway(this IServiceCollection services, Gateway gateway, EgressMode mode, DnsOptions names)
    {
        services
            .AddResolver(mode, names)
            .AddSingleton(gateway)
            .AddSingleton<AskedNames>()
            .AddSingleton<IAskedNames>(provider => provider.GetRequiredService<AskedNames>());
        // Who is routed here dials the names' own addresses.
        if (gateway.Options.Routed)
            services.AddSingleton<IDnsAnswers>(provider => provider.GetRequiredService<DnsResolver>());
        else
            services.AddSingleton<IDnsAnswers, GatewayNames>();
        services.AddHostedService(provider => new ConnectionsWatch(
            () => ConnectionTable.Read(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ConnectionsWatch>>()));
        return services.AddHostedService(provider => new DnsServer(
            provider.GetRequiredService<IDnsAnswers>(), [.. gateway.Dns], provider.GetRequiredService<ILogger<DnsServer>>(),
            address => gateway.Inside.First(inside => inside.Address.Equals(address)).Interface));
    }
}
