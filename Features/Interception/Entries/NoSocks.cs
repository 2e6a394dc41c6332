using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.Interception.Entries;

/// <summary>Stands where no SOCKS5 server is registered: tells why the connection is closed.</summary>
internal sealed class NoSocks(ILogger<NoSocks> log) : ISocksServer
{
    public Task OnConnectionAsync(ConnectionContext connection, Func<ConnectTarget, ConnectionContext, Task> inspect, CancellationToken closing)
    {
        log.LogWarning("connection refused {Client} {Reason}", connection.RemoteEndPoint, "SOCKS5 is not supported; use HTTP CONNECT");
        return Task.CompletedTask;
    }
}
