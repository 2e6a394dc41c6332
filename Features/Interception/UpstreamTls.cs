using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception;

/// <summary>TLS to upstreams, and why it fails.</summary>
internal sealed class UpstreamTls(UpstreamTrust trust, Dialer dialer, OpenTraffic traffic)
{
    /// <summary>Does the handshake.</summary>
    /// <param name="transport">Owned, also when it fails.</param>
    /// <param name="target">Whose certificate it has to be.</param>
    /// <param name="protocols">What may be spoken, the best first; empty: nothing is said about it.</param>
    /// <param name="cancellation">The limit.</param>
    /// <exception cref="AuthenticationException">It failed; <see cref="UpstreamFailures"/> knows the kinds.</exception>
    /// <exception cref="IOException">The connection broke off.</exception>
    public async ValueTask<SslStream> SecureAsync(
        UpstreamStream transport, ConnectTarget target, List<SslApplicationProtocol> protocols, CancellationToken cancellation)
    {
        try
        {
            await trust.Loaded.WaitAsync(cancellation);
            return await AuthenticateAsync(transport, trust.For(target.Host, protocols), cancellation);
        }
        catch (Exception e) when (e is IOException or AuthenticationException and not UpstreamCertificateException)
        {
            if (await AsksForCertificateAsync(target, protocols, cancellation))
                throw new ClientCertificateException(target.Host, e);
            throw;
        }
    }

    /// <summary>With TLS 1.3 a server refuses the client after the handshake (RFC 8446, 4.4.2.4): the first read brings the alert.</summary>
    /// <returns>What <paramref name="failure"/> means, or itself.</returns>
    public async ValueTask<Exception> ExplainAsync(Exception failure, ConnectTarget target, List<SslApplicationProtocol> protocols, CancellationToken cancellation) =>
        MayBeRefusal(failure) && await AsksForCertificateAsync(target, protocols, cancellation) ? new ClientCertificateException(target.Host, failure) : failure;

    // Some servers send an alert, others (Kestrel) close: only those that had said nothing on a new connection.
    private static bool MayBeRefusal(Exception failure)
    {
        var broken = false;
        for (var e = failure; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case CryptographicException or SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.OperationAborted or SocketError.Shutdown }:
                    return true;
                case AuthenticationException or DialRefusedException or ParentProxyException or Http1ChosenException or HttpProtocolException
                    or MalformedMessageException or RequestBodyException or SocketException or TimeoutException or OperationCanceledException:
                    return false;
            }

            broken |= e is IOException;
        }

        // Without a reason: the server had gone before .NET's HTTP/2 had begun.
        return broken || failure is HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } or HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: null };
    }

    /// <summary>Whether the server asks for a client certificate. Alerts do not tell: what one server calls "certificate required" is "handshake failure" or
    /// "bad certificate" to others. So it is connected to once more and seen whether it asks.</summary>
    /// <remarks>Not on each connection: with the callback .NET resumes no sessions.</remarks>
    public async ValueTask<bool> AsksForCertificateAsync(ConnectTarget target, List<SslApplicationProtocol> protocols, CancellationToken cancellation)
    {
        var asks = false;
        var options = trust.For(target.Host, protocols);
        options.LocalCertificateSelectionCallback = (_, _, _, server, _) =>
        {
            // It is called without a server's certificate too, before anything is sent.
            asks |= server is not null;
            return null!;
        };
        try
        {
            var transport = traffic.Watch(target, await dialer.ConnectAsync(target, Uri.UriSchemeHttps, cancellation));
            await (await AuthenticateAsync(transport, options, cancellation)).DisposeAsync();
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException or OperationCanceledException)
        {
            // With TLS 1.2 it ends in the handshake, as before.
        }

        return asks;
    }

    private static async ValueTask<SslStream> AuthenticateAsync(UpstreamStream transport, SslClientAuthenticationOptions options, CancellationToken cancellation)
    {
        var tls = new SslStream(new ReadAheadStream(transport));
        try
        {
            await tls.AuthenticateAsClientAsync(options, cancellation);
            return tls;
        }
        catch (Exception)
        {
            await tls.DisposeAsync();
            throw;
        }
    }
}
