using System.Net;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Api;
using Discobot.Features.Cache;
using Discobot.Features.Certificates;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Logging;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discobot.Features.CommandLine;

/// <summary>The proxy put together: what is registered, and the order in which a request meets it.</summary>
internal static class ProxyProgram
{
    public static WebApplication Build(string? file)
    {
        var doc = file is null ? ConfigDocument.Empty("default") : ConfigDocument.Load(file);
        var proxy = new ProxyOptions(); var tls = new TlsOptions(); var logging = new LoggingOptions(); var cache = new CacheOptions(); var apiPort = 17081;
        var r = doc.Read(n => { proxy = ProxyOptions.Read(n["proxy"]); apiPort = n["proxy"]["api_port"].AsInt(17081); tls = TlsOptions.Read(n["tls"]); logging = LoggingOptions.Read(n["logging"]); cache = CacheOptions.Read(n["cache"]); return "x"; });
        if (!r.IsValid) throw new InvalidOperationException(r.ErrorText());
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        var addresses = Addresses([IPAddress.Loopback], proxy.Port);
        var api = Addresses([IPAddress.Loopback], apiPort);

        builder.Services.AddLineLogging(logging);
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(tls);
        builder.Services.AddCertificates(tls.CertDir);
        builder.Services.AddSingleton<ILeafSource>(p => p.GetRequiredService<LeafCertificates>());
        builder.Services.AddSingleton<IEgressPolicy, AllowAll>();
        builder.Services.AddSingleton<ISocksServer, NoSocks>();
        builder.Services.AddInterception(proxy, tls, new OwnListeners([.. addresses, .. api]), Roots);

        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.ListenForProxying(addresses);
            kestrel.ListenForApi(api);
        });

        var app = builder.Build();
        app.UseApi(endpoints => endpoints.MapHealth("x"));
        app.UseRequestGate();
        app.RunForwarding();
        return app;
    }

    // Our own CA is trusted by the system once it is installed; nothing upstream may be signed by it.
    private static X509Certificate2Collection Roots(IServiceProvider services) => SystemRoots.Load(
        services.GetRequiredService<TlsOptions>().ExtraCa,
        services.GetRequiredService<ILogger<UpstreamTrust>>(),
        services.GetRequiredService<CertificateAuthority>().Fingerprint);

    private static IPEndPoint[] Addresses(IPAddress[] ips, int port) => [.. ips.Select(ip => new IPEndPoint(ip, port))];
}

internal sealed class AllowAll : IEgressPolicy
{
    public EgressVerdict JudgeTunnel(ConnectTarget target) => EgressVerdict.Allow("default");
    public EgressVerdict JudgeBlindTunnel(ConnectTarget target) => EgressVerdict.Allow("default");
    public EgressVerdict JudgeRequest(ConnectTarget target, string method, string path) => EgressVerdict.Allow("default");
    public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => EgressVerdict.Allow("default");
}

internal sealed class NoSocks : ISocksServer
{
    public Task OnConnectionAsync(Microsoft.AspNetCore.Connections.ConnectionContext connection, Func<ConnectTarget, Microsoft.AspNetCore.Connections.ConnectionContext, Task> inspect, CancellationToken closing) => Task.CompletedTask;
}
