using System.Net.Sockets;
using System.Security.Authentication;
using Discobot.Infrastructure.Http1;

namespace Discobot.Infrastructure.Wire.Failures;

/// <summary>A refusal that was found while dialling: the policy or the loop check. Carries the answer for the client.</summary>
internal sealed class DialRefusedException(ProxyError error) : IOException(error.Reason)
{
    public ProxyError Error { get; } = error;
}

/// <summary>The upstream's certificate was looked at and found wanting. The message names every failed check.</summary>
internal sealed class UpstreamCertificateException(string message) : AuthenticationException(message);

/// <summary>The upstream asked for a client certificate and broke off without one. The client may have one, whose key is not ours to use.</summary>
internal sealed class ClientCertificateException(string host, Exception failure) : AuthenticationException(
    $"{host} ended the connection, and it asks for a client certificate, {Advice(host)}", failure)
{
    /// <summary>What its client can do.</summary>
    public static string Advice(string host) =>
        $"which this proxy cannot have: the key stays with the client. List {host} in tls.passthrough, and the client presents its own.";
}

/// <summary>The server refused the stream of a request by HTTP/2 before it did anything (RFC 9113, 8.7), and it cannot be sent again from here: its client can.</summary>
internal sealed class StreamRefusedException() : IOException("the server refused the stream")
{
    /// <summary>REFUSED_STREAM.</summary>
    public const int Code = 7;
}

/// <summary>Turns what <see cref="IUpstream"/> throws into the answer the client can read.</summary>
internal static class UpstreamFailures
{
    /// <summary>The answer for <paramref name="failure"/>: 403/508 refused at dialling, 502 unreachable or bad (or the parent is), 504 too late.</summary>
    public static ProxyError ToError(Exception failure, string host)
    {
        for (var e = failure; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case DialRefusedException refused:
                    return refused.Error;
                case ParentProxyException parent:
                    return parent.Error;
                case UpstreamCertificateException:
                    return new ProxyError(502, "upstream_certificate", e.Message);
                case ClientCertificateException:
                    return new ProxyError(502, "upstream_client_certificate", e.Message);
                case AuthenticationException:
                    return new ProxyError(502, "upstream_tls", $"The TLS handshake with {host} failed: {Innermost(e)}.");
                case MalformedMessageException:
                    return new ProxyError(502, "upstream_malformed", $"The answer of {host} cannot be read: {e.Message}.");
                case HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded }:
                    return new ProxyError(502, "upstream_closed", $"{host} closed the connection before the response was complete.");
                case SocketException socket:
                    return FromSocket(socket, host);
                case TimeoutException or OperationCanceledException:
                    return new ProxyError(504, "upstream_timeout", $"{host} did not answer in time.");
            }
        }

        return failure is HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded }
            ? new ProxyError(502, "upstream_closed", $"{host} closed the connection before the response was complete.")
            : new ProxyError(502, "upstream_failed", $"The request to {host} failed: {Innermost(failure)}.");
    }

    /// <summary>The code with which the server reset the stream of an HTTP/2 request (RFC 9113, 7); null: it did not.</summary>
    public static int? ResetCode(Exception failure)
    {
        for (var e = failure; e is not null; e = e.InnerException)
        {
            if (e is StreamRefusedException)
                return StreamRefusedException.Code;
            // .NET has one type for this and for what is wrong with the whole connection, and says which in words.
            if (e is HttpProtocolException reset && reset.Message.Contains("reset the stream", StringComparison.Ordinal))
                return (int)reset.ErrorCode;
        }

        return null;
    }

    /// <summary>Whether the failure means that the host could not be reached at all, so that a stored answer may take its place.</summary>
    public static bool IsUnreachable(ProxyError error) =>
        error.Code is "upstream_unresolved" or "upstream_refused" or "upstream_unreachable" or "upstream_timeout" or "upstream_reset"
            or "upstream_closed" or "upstream_failed" or "parent_unreachable" or "parent_failed";

    private static ProxyError FromSocket(SocketException socket, string host) => socket.SocketErrorCode switch
    {
        SocketError.TryAgain => new(502, "upstream_unresolved", $"The name {host} could not be resolved: no name server answered."),
        SocketError.HostNotFound or SocketError.NoData or SocketError.NoRecovery =>
            new(502, "upstream_unresolved", $"The name {host} could not be resolved."),
        SocketError.ConnectionRefused => new(502, "upstream_refused", $"{host} refused the connection: nothing listens on that port."),
        SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown =>
            new(502, "upstream_reset", $"{host} reset the connection."),
        SocketError.TimedOut => new(504, "upstream_timeout", $"{host} did not answer in time."),
        _ => new(502, "upstream_unreachable", $"{host} is not reachable: {socket.Message}."),
    };

    private static string Innermost(Exception e) => e.GetBaseException().Message.TrimEnd('.');
}
