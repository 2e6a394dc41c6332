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
    ConnectTunnel tunnel, IEgressPolicy policy, IAddressNames names, ConnectionMetrics metrics, FlowRecorder flows, ILogger<TransparentEntry> log)
{
    /// <summary>Limit on a hello that has begun, as for the handshake itself.</summary>
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(10);

    /// <summary>Handles one accepted connection; <paramref name="next"/> is TLS and Kestrel's HTTP.</summary>
    public async Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        flows.Accept(connection, "transparent");
        var socket = connection.Features.Get<IConnectionSocketFeature>()!.Socket;
        if (OriginalDestination.Of(socket) is not { } destination)
        {
            metrics.Refused();
            var flow = flows.Begin(connection);
            flow.Refuse("nothing redirected it here");
            LogRefused(connection.RemoteEndPoint, flow.Id);
            flows.End(flow);
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
        ConnectTarget Of(bool isTls, string? asked) =>
            TargetOf(destination, isTls, asked, names.Find(destination.Address), literal => policy.JudgeTunnel(literal).Allowed);
        var isTls = await ProtocolSniffer.AwaitClientAsync(input, () => policy.WouldPassRaw(Of(false, null)), closing) is FirstByte.Tls;
        string? asked = null;
        if (isTls)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(closing);
            limit.CancelAfter(HelloLimit);
            asked = (await ClientHello.PeekAsync(input, limit.Token))?.ServerName;
        }

        return Of(isTls, asked);
    }

    /// <summary>Whom a redirected connection is for, as long as no Host field has said it.</summary>
    /// <param name="destination">Where it was going.</param>
    /// <param name="isTls">Whether it began with a TLS hello.</param>
    /// <param name="asked">The name in that hello.</param>
    /// <param name="learned">The name that our resolver last gave the address for.</param>
    /// <param name="allows">Whether the address itself may be reached.</param>
    public static ConnectTarget TargetOf(IPEndPoint destination, bool isTls, string? asked, string? learned, Func<ConnectTarget, bool> allows)
    {
        if (asked is not null && ConnectTarget.TryParse(asked, destination.Port, out var byName) && byName.Port == destination.Port)
            return byName;
        var literal = new ConnectTarget(ConnectTarget.Normalize(destination.Address.ToString()), destination.Port);
        // A hello for an address names none (RFC 6066, 3).
        return learned is null || (isTls && allows(literal)) ? literal : literal with { Host = learned };
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "connection refused {Client} nothing redirected it here; the proxy's own port is another {Id}")]
    private partial void LogRefused(EndPoint? client, string id);
}
