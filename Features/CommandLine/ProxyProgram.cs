using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Allowlist;
using Discobot.Features.Api;
using Discobot.Features.Cache;
using Discobot.Features.Certificates;
using Discobot.Features.Configuration;
using Discobot.Features.Egress;
using Discobot.Features.Headers;
using Discobot.Features.Interception;
using Discobot.Features.Socks5;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Logging;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine;

/// <summary>The proxy put together: what is registered, and the order in which a request meets it.</summary>
internal static class ProxyProgram
{
    /// <summary>Builds the proxy; nothing listens before it is started.</summary>
    /// <param name="settings">What is in force at the start.</param>
    /// <param name="sources">Where they come from; the file among them is followed. Null: nothing is.</param>
    /// <exception cref="IOException">A file or directory that the settings name cannot be used; the message says which.</exception>
    public static WebApplication Build(ProxySettings settings, SettingsSources? sources = null)
    {
        var proxy = ListenAddresses.Usable(settings.Proxy.Listen, settings.Proxy.Port);
        var api = ListenAddresses.Usable(settings.Api.Listen, settings.Api.Port);
        var redirected = settings.Egress.IsServed ? EgressFeature.Loopback(settings.Egress.Port) : [];
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        sources ??= SettingsSources.Of(null, new Dictionary<string, string>());

        builder.Services
            .AddSingleton(settings)
            .AddConfiguration(sources, settings)
            .AddApi(settings.Api)
            .AddLineLogging(settings.Logging)
            .AddRoutingCore()
            .AddCertificates(settings.Tls.CertDir, settings.Api.Port)
            .AddAllowlist(settings.AllowlistInForce, Path.Combine(Path.GetDirectoryName(settings.Api.TokenFile) ?? "/", "learned.json"))
            .AddCache(settings.Cache, settings.Proxy.UpstreamTimeout)
            .AddHeaders(settings.Headers, new HostSet(settings.Tls.InsecureHosts))
            .AddSocks5(settings.Socks, settings.Proxy.ReadTimeout)
            .AddEgress(settings.Egress)
            .AddInterception(settings.Proxy, settings.Tls, new OwnListeners([.. proxy, .. api, .. redirected]), sources.Environment, UpstreamRoots);

        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.UseLimits(settings.Proxy);
            kestrel.ListenForProxying(proxy);
            kestrel.ListenForRedirected(redirected);
            kestrel.ListenForApi(api);
        });

        var app = builder.Build();
        app.Services.FollowSettings();
        app.UseApi(endpoints =>
        {
            endpoints.MapHealth(app.Services.GetRequiredService<CertificateAuthority>().CertificatePath);
            endpoints.MapMetrics();
            endpoints.MapRevocationList();
            endpoints.MapAuthority();
            endpoints.MapExplain();
            endpoints.MapConfiguration();
            endpoints.MapAllowlist();
            endpoints.MapCache();
        });
        app.UseRequestGate();
        app.UseHeaders();
        app.UseCache();
        app.RunForwarding();
        return app;
    }

    // Our own CA is trusted by the system once it is installed; nothing upstream may be signed by it.
    private static Task<X509Certificate2Collection> UpstreamRoots(IServiceProvider services) => SystemRoots.LoadAsync(
        services.GetRequiredService<ProxySettings>().Tls.ExtraCa,
        services.GetRequiredService<ILogger<UpstreamTrust>>(),
        services.GetRequiredService<CertificateAuthority>().Fingerprint);
}
