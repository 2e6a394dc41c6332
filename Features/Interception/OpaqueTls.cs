using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Discobot.Features.Interception;

/// <summary>
/// TLS in a tunnel that is not HTTP (MQTT, Redis, PostgreSQL, IMAP): relayed between a TLS connection to the client and one to the server where a
/// rule allows a tunnel that is not inspected, else closed at once. What is spoken is decided by the first bytes inside, never by the protocols
/// that the client names: it may name anything to get past the rules of requests. HTTP in such a tunnel is inspected like any other.
/// </summary>
internal sealed partial class OpaqueTls(
    IEgressPolicy policy, Dialer dialer, OpenTraffic traffic, UpstreamTls tls, StreamIdle idle, FlowRecorder flows, ILogger<OpaqueTls> log)
{
    /// <summary>How long both may be silent, as for HTTP connections that are kept.</summary>
    private static readonly TimeSpan LongestSilence = TimeSpan.FromMinutes(2);

    private const string Remedy = "tls.passthrough tunnels the host without opening it";

    /// <summary>Whether something else than HTTP may be spoken: the client does not offer HTTP by name.</summary>
    public static bool MayBe(Tunnel tunnel) => tunnel.Offered is { } offered && !offered.Contains("h2") && !offered.Contains("http/1.1");

    /// <summary>Lets the server choose among the protocols that the client offers.</summary>
    /// <returns>What to tell the client; none: nothing about it, as a server does that knows no ALPN.</returns>
    public async ValueTask<List<SslApplicationProtocol>> AgreeAsync(Tunnel tunnel, CancellationToken cancellation) =>
        tunnel.Offered!.Count > 0 && await OpenAsync(tunnel, cancellation) is null
            && tunnel.Server!.Tls.NegotiatedApplicationProtocol is { Protocol.IsEmpty: false } chosen
            ? [chosen]
            : [];

    /// <summary>Handles a connection whose TLS is established; <paramref name="next"/> is HTTP.</summary>
    public Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.Features.Get<Tunnel>() is not { } tunnel || connection.Features.Get<ISslStreamFeature>() is null)
            return next(connection);
        tunnel.IsSecured = true;
        return MayBe(tunnel) ? LookAsync(connection, tunnel, next) : next(connection);
    }

    private async Task LookAsync(ConnectionContext connection, Tunnel tunnel, ConnectionDelegate next)
    {
        var closing = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? connection.ConnectionClosed;
        var first = await SniffAsync(connection, ProtocolSniffer.ServerFirst, closing);
        if (first is FirstByte.Silent)
            first = await WaitAsync(connection, tunnel, closing);
        switch (first)
        {
            case FirstByte.Http:
                await CloseAsync(tunnel);
                await next(connection);
                break;
            case FirstByte.None or FirstByte.Silent:
                break;
            default:
                await RelayAsync(connection, tunnel, closing);
                break;
        }
    }

    private static async ValueTask<FirstByte> SniffAsync(ConnectionContext connection, TimeSpan limit, CancellationToken cancellation)
    {
        var input = connection.Transport.Input;
        var first = await ProtocolSniffer.PeekAsync(input, limit, cancellation);
        return first is FirstByte.Http && !await ProtocolSniffer.IsRequestAsync(input, ProtocolSniffer.ServerFirst, cancellation) ? FirstByte.Unknown : first;
    }

    /// <returns>What the client begins with; Unknown also when the server speaks first.</returns>
    private async Task<FirstByte> WaitAsync(ConnectionContext connection, Tunnel tunnel, CancellationToken closing)
    {
        if (tunnel.Server is null)
            await OpenAsync(tunnel, closing);
        if (tunnel.Server is { } server)
        {
            using var decided = CancellationTokenSource.CreateLinkedTokenSource(closing);
            var client = SniffAsync(connection, LongestSilence, decided.Token).AsTask();
            await Task.WhenAny(client, server.Greeting);
            if (!client.IsCompleted && await server.SpeaksAsync())
            {
                await decided.CancelAsync();
                await client;
                return FirstByte.Unknown;
            }

            if (server.Greeting.IsCompleted && !await server.SpeaksAsync())
                await CloseAsync(tunnel);
            return await client;
        }

        return await SniffAsync(connection, LongestSilence, closing);
    }

    private async Task RelayAsync(ConnectionContext connection, Tunnel tunnel, CancellationToken closing)
    {
        var target = tunnel.Target;
        tunnel.IsUsed = true;
        var flow = flows.Begin(connection, target, "tls");
        var verdict = policy.JudgeRawTunnel(target, flow.ClientName);
        using var approval = await policy.AskAsync(verdict, new EgressQuestion(target, flow.Client, "CONNECT"), closing);
        verdict = approval.Verdict;
        flow.Decide(verdict);
        if (!verdict.Allowed)
        {
            LogBlocked(target, verdict.Rule, $"{What(tunnel)}, which is closed: {verdict.Reason.TrimEnd('.')}. Where a rule allows the whole host, {Remedy}.", flow.Id);
            flow.Error = "blocked";
            flows.End(flow);
            return;
        }

        if (tunnel.Server is null && await OpenAsync(tunnel, closing) is { } failure)
        {
            LogFailed(target, $"{What(tunnel)}: {failure.TrimEnd('.')}. {Remedy}.", flow.Id);
            (flow.Error, flow.IsComplete) = (failure, false);
            flows.End(flow);
            return;
        }

        LogOpened(target, $"{What(tunnel)}: relayed without inspection; {Remedy}.", flow.Id);
        flow.Use(new ConnectionTimes(tunnel.Server!.Address), isNew: false);
        await RelayAsync(connection, tunnel.Server, flow, closing);
        LogClosed(target, flow.RequestBytes, flow.ResponseBytes, flow.Id);
        flows.End(flow);
    }

    private async Task RelayAsync(ConnectionContext connection, OpaqueServer server, Flow flow, CancellationToken closing)
    {
        var target = new ConnectTarget(flow.Host!, flow.Port);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(closing);
        using var watch = traffic.Watch(target, server.Address, stop, flow);
        var relay = new OpaqueRelay(connection, connection.Features.Get<ISslStreamFeature>()!.SslStream, server);
        await BothWays.RunAsync(relay.UpAsync, relay.DownAsync, () => relay.Up + relay.Down, idle, stop.Token);
        (flow.RequestBytes, flow.ResponseBytes, flow.IsComplete) = (relay.Up, relay.Down, !stop.IsCancellationRequested);
    }

    // One that is not needed, or has gone meanwhile.
    private static async ValueTask CloseAsync(Tunnel tunnel)
    {
        if (tunnel.Server is { } server)
            await server.DisposeAsync();
        tunnel.Server = null;
    }

    private static string What(Tunnel tunnel) =>
        tunnel.Offered is { Count: > 0 } offered ? $"TLS that is not HTTP ({ProxyErrors.Shown(string.Join(", ", offered))})" : "TLS that is not HTTP";

    /// <returns>Null: <see cref="Tunnel.Server"/> is there. Else why it is not.</returns>
    private async ValueTask<string?> OpenAsync(Tunnel tunnel, CancellationToken cancellation)
    {
        var target = tunnel.Target;
        if (tunnel.ForeignServerName is { } name)
            return $"The tunnel was opened to {target.Host}, but TLS asked for {ProxyErrors.Shown(name)}";
        if (policy.JudgeTunnel(target, tunnel.Client) is { Allowed: false } verdict)
            return verdict.Reason;
        try
        {
            var dialled = await dialer.ConnectAsync(target, Uri.UriSchemeHttps, cancellation);
            var offered = tunnel.Offered!.Where(p => p.Length > 0).Select(p => new SslApplicationProtocol(Encoding.Latin1.GetBytes(p))).ToList();
            var transport = traffic.Watch(target, dialled);
            tunnel.Server = new OpaqueServer(await tls.SecureAsync(transport, target, offered, cancellation), transport.Socket, dialled.Address);
            return null;
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException or OperationCanceledException)
        {
            return UpstreamFailures.ToError(e, target.Host).Reason;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "blocked {Target} {Rule} {Reason} {Id}")]
    private partial void LogBlocked(ConnectTarget target, string rule, string reason, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "tunnel {Target} {Reason} {Id}")]
    private partial void LogOpened(ConnectTarget target, string reason, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "tunnel end {Target} {Up} {Down} {Id}")]
    private partial void LogClosed(ConnectTarget target, long up, long down, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "tunnel failed {Target} {Reason} {Id}")]
    private partial void LogFailed(ConnectTarget target, string reason, string id);
}
