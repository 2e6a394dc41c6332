using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.Socks5;

/// <summary>UDP ASSOCIATE (RFC 1928, 7): datagrams for as long as the connection that asked for them lives.</summary>
internal sealed partial class SocksServer
{
    private async Task AssociateAsync(ConnectionContext connection, SocksAddress announced, CancellationToken closing)
    {
        if (connection is not { LocalEndPoint: IPEndPoint local, RemoteEndPoint: IPEndPoint remote })
        {
            await ReplyAsync(connection, SocksReply.GeneralFailure, null, closing);
            return;
        }

        // Where the client reached us by TCP it can reach us by UDP, and only it may.
        using var relay = new UdpRelay(policy, names, local.Address, remote.Address, announced.Port, connection.Features.Get<FlowClient>()?.Name, log);
        await ReplyAsync(connection, SocksReply.Succeeded, relay.LocalEndPoint, closing);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(closing, connection.ConnectionClosed);
        var target = new ConnectTarget("udp", relay.LocalEndPoint.Port);
        var flow = flows.Begin(connection, null, "udp");
        LogOpened(target, flow.Id);
        var relaying = relay.RunAsync(stop.Token);
        await UntilClosedAsync(connection, stop.Token);
        await stop.CancelAsync();
        await relaying;
        (flow.RequestBytes, flow.ResponseBytes) = (relay.Up, relay.Down);
        LogClosed(target, relay.Up, relay.Down, flow.Id);
        flows.End(flow);
    }

    private static async Task UntilClosedAsync(ConnectionContext connection, CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                var read = await connection.Transport.Input.ReadAsync(cancellation);
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                    return;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Closed all the same.
        }
    }
}
