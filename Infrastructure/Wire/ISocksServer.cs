using Microsoft.AspNetCore.Connections;

namespace Discobot.Infrastructure.Wire;

/// <summary>Serves a connection whose first byte is 0x05 (RFC 1928). The seam between the shared port and the SOCKS5 feature.</summary>
internal interface ISocksServer
{
    /// <param name="connection">Nothing of it is consumed yet.</param>
    /// <param name="inspect">Hands the tunnel to interception, which tells TLS, HTTP and other protocols apart; call it after the
    /// success reply. Returns when the tunnel has ended.</param>
    /// <param name="closing">Set when the process is asked to stop.</param>
    Task OnConnectionAsync(ConnectionContext connection, Func<ConnectTarget, ConnectionContext, Task> inspect, CancellationToken closing);
}
