using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Discobot.Features.Socks5;

/// <summary>SOCKS5 on the proxy port, for programs that speak something else than HTTP.</summary>
internal static class Socks5Feature
{
    /// <param name="readTimeout">proxy.read_timeout; zero is none.</param>
    public static IServiceCollection AddSocks5(this IServiceCollection services, SocksOptions options, TimeSpan readTimeout)
    {
        services.TryAddSingleton(TimeProvider.System);
        return services
            .AddSingleton(options)
            .AddSingleton(HandshakeLimit.For(readTimeout))
            .AddSingleton<ISocksServer, SocksServer>();
    }
}
