using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Discobot.Features.Interception.Tls;

/// <summary>The client's side of an intercepted TLS connection: a leaf certificate for the host, ALPN h2 and http/1.1.</summary>
internal sealed class TlsTermination(ILeafSource leaves, OpaqueTls opaque, ClientLimits limits)
{
    private static readonly List<SslApplicationProtocol> Protocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    public TlsHandshakeCallbackOptions Options => new()
    {
        OnConnection = AnswerHelloAsync,
        HandshakeTimeout = limits.Handshake,
    };

    private async ValueTask<SslServerAuthenticationOptions> AnswerHelloAsync(TlsHandshakeCallbackContext hello)
    {
        var tunnel = hello.Connection.Features.Get<Tunnel>()
            ?? throw new AuthenticationException("TLS outside a tunnel.");
        var host = Agree(tunnel, hello.ClientHelloInfo.ServerName);
        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = await leaves.GetAsync(host, hello.CancellationToken),
            ApplicationProtocols = OpaqueTls.MayBe(tunnel) ? await opaque.AgreeAsync(tunnel, hello.CancellationToken) : Protocols,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        };
    }

    /// <summary>Settles the host of a tunnel. A name other than the CONNECT target's is remembered, so that each request gets a readable
    /// 421 instead of a failed handshake. An IP literal gives way to the name: that name is then resolved, judged and dialled by us.</summary>
    private static string Agree(Tunnel tunnel, string? serverName)
    {
        var name = ConnectTarget.Normalize(serverName ?? "");
        if (name.Length == 0 || name == tunnel.Target.Host)
            return tunnel.Target.Host;
        if (IPAddress.TryParse(tunnel.Target.Host, out _) && !IPAddress.TryParse(name, out _)
            && ConnectTarget.TryParse(name, tunnel.Target.Port, out var byName))
        {
            tunnel.Target = byName;
            return byName.Host;
        }

        tunnel.ForeignServerName = name;
        return name;
    }
}
