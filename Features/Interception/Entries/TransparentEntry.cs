using System.Net;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Discobot.Features.Interception.Entries;

/// <summary>
/// The entry of connections that a packet filter redirects here, of programs that know of no proxy. The name such a connection is for comes from
/// its TLS hello or its Host field, else from what our resolver lately answered; it is resolved again, judged and dialled by us, so that a forged
/// name reaches only what the rules allow under that name.
/// </summary>
internal sealed partial class TransparentEntry(
    ConnectTunnel tunnel, IEgressPolicy policy, IAddressNames names, ConnectionMetrics metrics, ILogger<TransparentEntry> log)
{
    /// <summary>How long a client may be silent before we take it for a protocol whose server speaks first.</summary>
    private static readonly TimeSpan ServerFirst = TimeSpan.FromMilliseconds(700);

    /// <summary>Limit on a hello that has begun, as for the handshake itself.</summary>
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(10);

    /// <summary>Handles one accepted connection; <paramref name="next"/> is TLS and Kestrel's HTTP.</summary>
    public async Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var socket = connection.Features.Get<IConnectionSocketFeature>()!.Socket;
        if (OriginalDestination.Of(socket) is not { } destination)
        {
            metrics.Refused();
            LogRefused(connection.RemoteEndPoint);
            return;
        }

        var closing = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? connection.ConnectionClosed;
        using (metrics.Begin("transparent"))
        {
            try
            {
                var target = await TargetOfAsync(connection, destination, closing);
                await tunnel.EnterAsync(connection, new Tunnel(target) { IsTransparent = true, Dialled = ConnectTarget.Normalize(destination.Address.ToString()) }, next, closing);
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
                // The client is gone, was too slow, or we are going.
            }
        }
    }

    private async Task<ConnectTarget> TargetOfAsync(ConnectionContext connection, IPEndPoint destination, CancellationToken closing)
    {
        var input = connection.Transport.Input;
        var literal = new ConnectTarget(ConnectTarget.Normalize(destination.Address.ToString()), destination.Port);
        var name = names.Find(destination.Address);
        if (await ProtocolSniffer.PeekAsync(input, ServerFirst, closing) is FirstByte.Tls)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(closing);
            limit.CancelAfter(HelloLimit);
            if (await ClientHello.PeekAsync(input, limit.Token) is { ServerName: { } asked }
                && ConnectTarget.TryParse(asked, destination.Port, out var byName) && byName.Port == destination.Port)
                return byName;
            // A hello for an address names none (RFC 6066, 3).
            if (name is null || policy.JudgeTunnel(literal).Allowed)
                return literal;
        }

        return name is null ? literal : literal with { Host = name };
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "connection refused {Client} nothing redirected it here; the proxy's own port is another")]
    private partial void LogRefused(EndPoint? client);
}
