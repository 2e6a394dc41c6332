using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>The parent proxy, not the upstream, failed. Carries the answer for the client: a 502 that names the parent, never its credentials.</summary>
internal sealed class ParentProxyException(ProxyError error) : IOException(error.Reason)
{
    public ProxyError Error { get; } = error;

    /// <summary>It cannot be reached, or broke off, or was silent.</summary>
    public static ParentProxyException Unreachable(ParentAddress parent, Exception failure) => Of("parent_unreachable", parent, failure switch
    {
        OperationCanceledException => "did not answer in time",
        SocketException { SocketErrorCode: SocketError.ConnectionRefused } => "refused the connection: nothing listens on that port",
        SocketException { SocketErrorCode: SocketError.TimedOut } => "did not answer in time",
        SocketException { SocketErrorCode: SocketError.TryAgain } => "could not be resolved: no name server answered",
        SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData } =>
            "could not be resolved: its name is not known",
        _ => $"could not be used: {failure.Message.TrimEnd('.')}",
    });

    /// <summary>It answered with something else than success (an HTTP status).</summary>
    public static ParentProxyException Answered(ParentAddress parent, ConnectTarget target, int status) => status == 407
        ? Unauthorized(parent)
        : Of(status >= 500 ? "parent_failed" : "parent_refused", parent, $"answered {status} when asked for {target}");

    /// <summary>It wants credentials, or others.</summary>
    public static ParentProxyException Unauthorized(ParentAddress parent) => Of("parent_auth", parent, parent.Credentials is null
        ? "wants a user and password (407); write them into its address, user:password@host"
        : "did not accept the user and password of its address (407)");

    /// <summary>What it sent is no answer.</summary>
    public static ParentProxyException Malformed(ParentAddress parent) =>
        Of("parent_failed", parent, $"sent something that is no {(parent.Kind == ParentKind.Http ? "HTTP" : "SOCKS5")} answer");

    internal static ParentProxyException Of(string code, ParentAddress parent, string what) =>
        new(new ProxyError(StatusCodes.Status502BadGateway, code, $"The parent proxy {parent} {what}."));
}
