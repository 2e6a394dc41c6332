using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Allowlist;
using Discobot.Features.Api;
using Discobot.Features.Audit;
using Discobot.Features.Cache;
using Discobot.Features.Certificates;
using Discobot.Features.Clients;
using Discobot.Features.Configuration;
using Discobot.Features.Credentials;
using Discobot.Features.Egress;
using Discobot.Features.Headers;
using Discobot.Features.Interception;
using Discobot.Features.Limits;
using Discobot.Features.Packages;
using Discobot.Features.Socks5;
using Discobot.Features.Telemetry;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Logging;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine;

/// <summary>The proxy put together: what is registered, and the order in which a request meets it.</summary>
internal static class ProxyProgram
{
    /// <summary>Builds the proxy; nothing listens before it is started.</summary>
    /// <param name="settings">What is in force at the start.</param>
    /// <param name="sources">Where they come from; the file among them is followed. Null: nothing is.</param>
    /// <param name="gateway">The network whose only way out it is; null: it serves this machine alone.</param>
    /// <param name="executable">Our own, by which programs are started.</param>
    /// <exception cref="IOException">A file or directory that the settings name cannot be used; the message says which.</exception>
    public static WebApplication Build(ProxySettings settings, SettingsSources? sources = null, Gateway? gateway = null, string executable = Spawner.OwnExecutable)
    {
        var proxy = ListenAddresses.Usable(settings.Proxy.Listen, settings.Proxy.Port);
        var api = ListenAddresses.Usable(settings.Api.Listen, settings.Api.Port);
        IPEndPoint[] redirected = gateway is { Options.Routed: true } ? [.. gateway.At(settings.Egress.Port)]
            : gateway is null && settings.Egress.IsServed ? EgressFeature.Loopback(settings.Egress.Port) : [];
        IPEndPoint[] named = [.. gateway?.Named ?? []];
        if (gateway is not null)
            (proxy, api) = (gateway.Beside(proxy, settings.Proxy.Port), gateway.Beside(api, settings.Api.Port));
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        sources ??= SettingsSources.Of(null, new Dictionary<string, string>());

        builder.Services
            .AddSingleton(settings)
            .AddConfiguration(sources, settings)
            .AddApi(settings.Api with { GuardsAgainstOthers = gateway is not null })
            .AddLineLogging(settings.Logging)
            .AddRoutingCore()
            .AddCertificates(settings.Tls.CertDir, settings.Api.Port)
            .AddAllowlist(settings.AllowlistInForce, Path.Combine(Path.GetDirectoryName(settings.Api.TokenFile) ?? "/", "learned.json"))
            .AddWebhook(settings.Ask, UpstreamRoots)
            .AddCache(settings.Cache, settings.Proxy.UpstreamTimeout)
            .AddRemoteCache(settings.Cache, sources.Environment, UpstreamRoots)
            .AddPackages(settings.Packages)
            .AddClients(settings.Users)
            .AddLimits(settings.Limits)
            .AddWarming(services => OwnClient(services.GetRequiredService<ProxyUsers>(), proxy[0], services.GetRequiredService<CertificateAuthority>()))
            .AddCredentials(settings.Credentials, new HostSet(settings.Tls.InsecureHosts), sources.Environment.GetValueOrDefault(Placeholders.SeedVariable), settings.Api.TokenFile, executable)
            .AddHeaders(settings.Headers, new HostSet(settings.Tls.InsecureHosts))
            .AddSocks5(settings.Socks, settings.Proxy.ReadTimeout)
            .AddWayOut(settings, gateway)
            .AddAudit(settings.Audit, settings.Api.TokenFile, sources.Environment.GetValueOrDefault("SESSION_ID", ""))
            .AddTelemetry(sources.Environment)
            .AddInterception(settings.Proxy, settings.Tls, new OwnListeners([.. proxy, .. api, .. redirected, .. named]), sources.Environment, UpstreamRoots);

        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.UseLimits(settings.Proxy);
            kestrel.ListenForProxying(proxy);
            kestrel.ListenForRedirected(redirected);
            kestrel.ListenForNamed(named);
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
            endpoints.MapFlows();
            endpoints.MapPage(settings.Api);
        });
        app.UseRequestGate();
        app.UseLimits();
        app.UseCredentials();
        app.UseHeaders();
        app.UsePackages();
        app.UseCache();
        app.RunForwarding();
        return app;
    }

    private static IServiceCollection AddWayOut(this IServiceCollection services, ProxySettings settings, Gateway? gateway) =>
        gateway is null ? services.AddEgress(settings.Egress, settings.Dns) : services.AddGateway(gateway, settings.Egress.Mode ?? EgressMode.Redirect, settings.Dns);

    // As any client: through the listener, with a name and password where they are asked for, trusting our CA.
    private static HttpClient OwnClient(ProxyUsers users, IPEndPoint listener, CertificateAuthority authority)
    {
        var address = listener.Address.Equals(IPAddress.Any) ? IPAddress.Loopback : listener.Address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : listener.Address;
        var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        trust.CustomTrustStore.Add(authority.Certificate);
        return new HttpClient(new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://{new IPEndPoint(address, listener.Port)}")
            {
                Credentials = users.Own,
            },
            SslOptions = { CertificateChainPolicy = trust },
        })
        { Timeout = Timeout.InfiniteTimeSpan };
    }

    // Our own CA is trusted by the system once it is installed; nothing upstream may be signed by it.
    private static Task<X509Certificate2Collection> UpstreamRoots(IServiceProvider services) => SystemRoots.LoadAsync(
        services.GetRequiredService<ProxySettings>().Tls.ExtraCa,
        services.GetRequiredService<ILogger<UpstreamTrust>>(),
        services.GetRequiredService<CertificateAuthority>().Fingerprint);
}
