using System.Net.Sockets;
using System.Security.Authentication;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>Tells a host that is away from one that is slow, ill or not who it should be.</summary>
internal static class ConnectionFailure
{
    /// <summary>
    /// Whether no connection could be made at all: the name is not known, nothing listens, no route, no answer to the handshakes. Not when the policy
    /// refused the address, the certificate was found wanting, or a connection was there and then failed: that is an I/O error around the socket's.
    /// </summary>
    public static bool Is(Exception failure)
    {
        for (var e = failure; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case ParentProxyException parent:
                    return parent.Error.Code is "parent_unreachable" or "parent_failed";
                case IOException or UpstreamCertificateException:
                    return false;
                case AuthenticationException:
                    return true;
                case SocketException socket:
                    return socket.SocketErrorCode is not (SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown
                        or SocketError.OperationAborted);
            }
        }

        return false;
    }
}
