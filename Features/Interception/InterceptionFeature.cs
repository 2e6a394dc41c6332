using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Discobot.Features.Interception;

/// <summary>CONNECT, TLS and forwarding: the way of a request through the proxy port.</summary>
internal static class InterceptionFeature
{
    /// <param name="environment">Names the parent proxy where the options do not.</param>
    /// <param name="roots">Whom upstreams may be signed by.</param>
    public static IServiceCollection AddInterception(
        this IServiceCollection services, ProxyOptions proxy, TlsOptions tls, OwnListeners own,
        IReadOnlyDictionary<string, string> environment, Func<IServiceProvider, Task<X509Certificate2Collection>> roots)
    {
        services.TryAddSingleton<ISocksServer, NoSocks>();
        services.TryAddSingleton<ICredentialGuard, NoCredentials>();
        services.TryAddSingleton(new ProxyUsers([], new SecretFiles()));
        return services
            .AddPrometheus()
            .AddSingleton<RequestMetrics>()
            .AddSingleton<FlowRecorder>()
            .AddSingleton<RequestFlows>()
            .AddSingleton<ConnectionMetrics>()
            .AddSingleton<UpstreamBytes>()
            // What has arrived is read by the thread that was told of it. Measured on two cores with bench/run.sh: CONNECT + TLS + a request
            // 0.72 -> 0.61 CPU-seconds a thousand, the latency of one client 5 % less.
            .Configure<SocketTransportOptions>(sockets => sockets.UnsafePreferInlineScheduling = true)
            .AddSingleton<IConnectionListenerFactory, ClientListeners>()
            .AddSingleton(own)
            .AddSingleton(provider => new UpstreamTrust(
                roots(provider), tls.InsecureHosts, provider.GetRequiredService<ILogger<UpstreamTrust>>()))
            .AddSingleton(new Live<PassthroughHosts>(new PassthroughHosts(new HostSet(tls.Passthrough))))
            .AddSingleton(new ClientLimits(LimitOf(proxy.ReadTimeout), LimitOf(proxy.WriteTimeout)))
            .AddSingleton(provider => new Http1Server(provider.GetRequiredService<ClientLimits>().Times))
            .AddSingleton(new ForwardingLimits(LimitOf(proxy.UpstreamTimeout)))
            .AddSingleton(new StreamIdle(LimitOf(proxy.StreamIdleTimeout)))
            .AddSingleton(provider => ParentChoice.Make(
                proxy, environment, own, provider.GetRequiredService<NameLookups>(), provider.GetRequiredService<ILogger<ParentProxies>>()))
            .AddSingleton(new NameLookups())
            .AddSingleton<Dialer>()
            .AddSingleton<UpstreamTls>()
            .AddSingleton<CertificateHints>()
            .AddSingleton<Upstream>()
            .AddSingleton<IUpstream>(provider => provider.GetRequiredService<Upstream>())
            .AddSingleton<UpstreamRequests>()
            .AddSingleton<OpaqueTls>()
            .AddSingleton<TlsTermination>()
            .AddSingleton<BypassLog>()
            .AddSingleton<ConnectTunnel>()
            .AddSingleton<TransparentEntry>()
            .AddSingleton<GatewayEntry>();
    }

    /// <summary>Limits against slow and greedy clients. Bodies may be of any size; only their pace is watched.</summary>
    public static void UseLimits(this KestrelServerOptions kestrel, ProxyOptions proxy)
    {
        kestrel.AddServerHeader = false;
        // Field values are opaque octets (RFC 9110, 5.5).
        kestrel.RequestHeaderEncodingSelector = static _ => Encoding.Latin1;
        kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1;
        var limits = kestrel.Limits;
        limits.MaxRequestBodySize = null;
        limits.MaxRequestHeadersTotalSize = 64 * 1024;
        limits.MaxRequestHeaderCount = 200;
        // Signed addresses of object stores reach several KiB.
        limits.MaxRequestLineSize = 32 * 1024;
        limits.RequestHeadersTimeout = LimitOf(proxy.ReadTimeout);
        limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
        // A pause is no attack: streams of events and long polls are silent for minutes.
        limits.MinRequestBodyDataRate = null;
        limits.MinResponseDataRate = null;
        var most = Math.Min(proxy.MaxConnections, Descriptors.MostClients());
        limits.MaxConcurrentConnections = most;
        limits.MaxConcurrentUpgradedConnections = most;
        // As much as by HTTP/1.1. One that is longer would end the connection, with all that is under way on it.
        limits.Http2.MaxRequestHeaderFieldSize = 64 * 1024;
        limits.Http2.MaxStreamsPerConnection = 250;
        limits.Http2.InitialConnectionWindowSize = 1024 * 1024;
        limits.Http2.InitialStreamWindowSize = 512 * 1024;
    }

    private static TimeSpan LimitOf(TimeSpan written) => written == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : written;

    /// <summary>Listens on the proxy's addresses: first byte, CONNECT, TLS, what is inside it, then our HTTP/1.1 or Kestrel's HTTP/2.</summary>
    public static void ListenForProxying(this KestrelServerOptions kestrel, IEnumerable<IPEndPoint> addresses)
    {
        // Absolute-form targets decide (RFC 9112, 3.2.2), and plain-text HTTP/2 in a tunnel is labelled http.
        kestrel.AllowHostHeaderOverride = true;
        kestrel.AllowAlternateSchemes = true;
        foreach (var address in addresses)
            kestrel.Listen(address, listen => Use(listen, kestrel.ApplicationServices, kestrel.ApplicationServices.GetRequiredService<ConnectTunnel>().OnConnectionAsync));
    }

    /// <summary>Listens where a packet filter leads connections to that were going elsewhere.</summary>
    public static void ListenForRedirected(this KestrelServerOptions kestrel, IEnumerable<IPEndPoint> addresses)
    {
        foreach (var address in addresses)
            kestrel.Listen(address, listen => Use(listen, kestrel.ApplicationServices, kestrel.ApplicationServices.GetRequiredService<TransparentEntry>().OnConnectionAsync));
    }

    /// <summary>Listens at a gateway's own address, which its resolver gives for every name.</summary>
    public static void ListenForNamed(this KestrelServerOptions kestrel, IEnumerable<IPEndPoint> addresses)
    {
        foreach (var address in addresses)
            kestrel.Listen(address, listen => Use(listen, kestrel.ApplicationServices, kestrel.ApplicationServices.GetRequiredService<GatewayEntry>().OnConnectionAsync));
    }

    private static void Use(ListenOptions listen, IServiceProvider services, Func<ConnectionContext, ConnectionDelegate, Task> entry)
    {
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.Use(next => connection => entry(connection, next));
        listen.Use(next => connection => DirectOutput.OnConnectionAsync(connection, next));
        listen.UseHttps(services.GetRequiredService<TlsTermination>().Options);
        var opaque = services.GetRequiredService<OpaqueTls>();
        listen.Use(next => connection => opaque.OnConnectionAsync(connection, next));
        listen.Use(next => connection =>
        {
            PlainHttp.Unmark(connection);
            return connection.Features.Get<ITlsApplicationProtocolFeature>()?.ApplicationProtocol.Span.SequenceEqual("h2"u8) == true
                ? FullRecords.OnConnectionAsync(connection, inner => ClientResets.OnConnectionAsync(inner, next))
                : services.GetRequiredService<Http1Server>().OnConnectionAsync(connection);
        });
    }

    /// <summary>The first stage of proxied requests.</summary>
    public static IApplicationBuilder UseRequestGate(this IApplicationBuilder app) => app
        .Use(next =>
        {
            app.ApplicationServices.GetRequiredService<Http1Server>().Use(next);
            return next;
        })
        .UseMiddleware<RequestGate>();

    /// <summary>The last stage: everything that is still here goes upstream.</summary>
    public static void RunForwarding(this IApplicationBuilder app)
    {
        var forwarding = ActivatorUtilities.CreateInstance<Forwarding>(app.ApplicationServices);
        app.Run(forwarding.InvokeAsync);
    }
}
