using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Certificates;

/// <summary>The CA and the certificates it signs for intercepted hosts.</summary>
internal static class CertificatesFeature
{
    /// <summary>Registers <see cref="CertificateAuthority"/> and <see cref="LeafCertificates"/>.</summary>
    /// <remarks>The CA is loaded or made on first use.</remarks>
    /// <param name="services">Where they are registered; a <see cref="TimeProvider"/> registered there is used.</param>
    /// <param name="certDirectory">Where <c>ca.crt</c> and <c>ca.key</c> are (<c>tls.cert_dir</c>).</param>
    /// <param name="apiPort">Where <see cref="RevocationList"/> is served on localhost.</param>
    public static IServiceCollection AddCertificates(this IServiceCollection services, string certDirectory, int apiPort) => services
        .AddSingleton(provider => CertificateAuthority.LoadOrCreate(
            certDirectory, Clock(provider), provider.GetRequiredService<ILogger<CertificateAuthority>>()))
        .AddSingleton(provider => new RevocationList(
            provider.GetRequiredService<CertificateAuthority>(), new UriBuilder("http", "localhost", apiPort, RevocationList.Path).Uri, Clock(provider)))
        .AddSingleton(provider => new LeafCertificates(
            provider.GetRequiredService<CertificateAuthority>(), Clock(provider), revocationList: provider.GetRequiredService<RevocationList>().Address))
        .AddSingleton<ILeafSource>(provider => provider.GetRequiredService<LeafCertificates>());

    private static TimeProvider Clock(IServiceProvider provider) => provider.GetService<TimeProvider>() ?? TimeProvider.System;
}
