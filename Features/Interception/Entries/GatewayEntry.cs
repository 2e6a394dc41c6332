using System.Net;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Discobot.Features.Interception.Entries;

/// <summary>
/// The entry at a gateway's own address, which its resolver gives for every name. Whom a connection is for, its TLS hello or Host field says. What says
/// nothing is for the only name that this client lately asked for and that could be meant here; where there are several, for none.
/// </summary>
internal sealed partial class GatewayEntry(
    ConnectTunnel tunnel, IEgressPolicy policy, IAskedNames names, ConnectionMetrics metrics, FlowRecorder flows, ILogger<GatewayEntry> log)
{
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(10);

    /// <summary>Handles one accepted connection; <paramref name="next"/> is TLS and Kestrel's HTTP.</summary>
    public async Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var closing = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? connection.ConnectionClosed;
        flows.Accept(connection, "transparent");
        using (metrics.Begin("gateway"))
        {
            try
            {
                if (await TargetOfAsync(connection, closing) is { } target)
                    await tunnel.EnterAsync(connection, new Tunnel(target) { IsTransparent = true }, next, closing);
                else
                    Refuse(connection);
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
                // The client is gone, was too slow, or we are going.
            }
        }
    }

    private void Refuse(ConnectionContext connection)
    {
        metrics.Refused();
        var flow = flows.Begin(connection);
        flow.Refuse("it names no host, and not one host alone may be meant");
        flows.End(flow);
    }

    /// <returns>Null when nobody knows whom it is for.</returns>
    private async Task<ConnectTarget?> TargetOfAsync(ConnectionContext connection, CancellationToken closing)
    {
        var input = connection.Transport.Input;
        var own = (IPEndPoint)connection.LocalEndPoint!;
        switch (await ProtocolSniffer.AwaitClientAsync(input, () => AskedBy(connection, own.Port).Exists(one => policy.WouldPassRaw(one)), closing))
        {
            case FirstByte.Tls:
                using (var limit = CancellationTokenSource.CreateLinkedTokenSource(closing))
                {
                    limit.CancelAfter(HelloLimit);
                    if (await ClientHello.PeekAsync(input, limit.Token) is { ServerName: { } asked }
                        && ConnectTarget.TryParse(asked, own.Port, out var byName) && byName.Port == own.Port)
                        return byName;
                }

                return OnlyOne(connection, own.Port, static _ => true);
            case FirstByte.Http when await ProtocolSniffer.IsRequestAsync(input, ProtocolSniffer.ServerFirst, closing):
                // Each request says whom it is for; one that does not is for us, and answered as a loop.
                return new ConnectTarget(ConnectTarget.Normalize(own.Address.ToString()), own.Port);
            default:
                return OnlyOne(connection, own.Port, one => policy.WouldPassRaw(one));
        }
    }

    private ConnectTarget? OnlyOne(ConnectionContext connection, int port, Func<ConnectTarget, bool> isMeant)
    {
        var asked = AskedBy(connection, port);
        var meant = asked.FindAll(target => isMeant(target));
        if (meant.Count == 1)
            return meant[0];
        if (meant.Count > 1)
            LogAmbiguous(connection.RemoteEndPoint, port, string.Join(' ', meant.Select(target => target.Host).Order(StringComparer.Ordinal).Take(10)));
        else
            LogUnknown(connection.RemoteEndPoint, port, string.Join(' ', asked.Select(target => target.Host).Order(StringComparer.Ordinal).Take(10)));
        return null;
    }

    private List<ConnectTarget> AskedBy(ConnectionContext connection, int port) =>
        [.. names.AskedBy(((IPEndPoint)connection.RemoteEndPoint!).Address).Select(name => new ConnectTarget(name, port))];

    [LoggerMessage(Level = LogLevel.Warning, Message = "connection refused, it names no host and the client has asked for several that may be meant: use SOCKS5 or CONNECT {Client} {Port} {Asked}")]
    private partial void LogAmbiguous(EndPoint? client, int port, string asked);

    [LoggerMessage(Level = LogLevel.Warning, Message = "connection refused, it names no host and no rule lets it through at this port to any that the client has asked for {Client} {Port} {Asked}")]
    private partial void LogUnknown(EndPoint? client, int port, string asked);
}
