using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Discobot.Features.Interception.Entries;

/// <summary>Connection middleware of the proxy port: tells the protocols apart, answers CONNECT, and sends what is inside the tunnel
/// on to interception (TLS, HTTP) or through it (everything else).</summary>
internal sealed partial class ConnectTunnel(
    IEgressPolicy policy, Live<PassthroughHosts> passthrough, Dialer dialer, OpenTraffic traffic, ISocksServer socks,
    ProxyUsers users, ClientLimits limits, ConnectionMetrics metrics, BypassLog bypasses, FlowRecorder flows, ILogger<ConnectTunnel> log)
{
    /// <summary>Limit on the first byte of a connection, as the issue says.</summary>
    private static readonly TimeSpan FirstByteLimit = TimeSpan.FromSeconds(5);

    private static readonly byte[] ConnectMethod = "CONNECT "u8.ToArray();
    private static readonly byte[] Http2Preface = "PRI * HTTP/2.0\r\n"u8.ToArray();

    /// <summary>Handles one accepted connection; <paramref name="next"/> is TLS and Kestrel's HTTP.</summary>
    public async Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var closing = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? connection.ConnectionClosed;
        flows.Accept(connection, "http");
        switch (await ProtocolSniffer.PeekAsync(connection.Transport.Input, FirstByteLimit, closing))
        {
            case FirstByte.Http:
                await ServeHttpAsync(connection, next, closing);
                break;
            case FirstByte.Socks5:
                connection.Features.Get<FlowClient>()!.Entry = "socks5";
                using (metrics.Begin("socks5"))
                    await socks.OnConnectionAsync(connection, (target, inner) => EnterAsync(inner, target, next, closing), closing);
                break;
            case FirstByte.Socks4:
                Refuse(connection, "SOCKS4 is not supported; use SOCKS5");
                break;
            case FirstByte.Tls:
                Refuse(connection, "TLS was sent straight to the proxy port; use http:// in the proxy address");
                break;
            case FirstByte.Silent:
                Refuse(connection, "nothing was sent within 5 s");
                break;
            case FirstByte.Unknown:
                Refuse(connection, "the first byte belongs to no protocol spoken here (HTTP, SOCKS5)");
                break;
        }
    }

    private void Refuse(ConnectionContext connection, string reason)
    {
        metrics.Refused();
        var flow = flows.Begin(connection);
        flow.Refuse(reason);
        LogRefused(connection.RemoteEndPoint, reason, flow.Id);
        flows.End(flow);
    }

    private async Task ServeHttpAsync(ConnectionContext connection, ConnectionDelegate next, CancellationToken closing)
    {
        var deadline = limits.BeginHead();
        switch (await ProtocolSniffer.StartsWithAsync(connection.Transport.Input, ConnectMethod, deadline.Remaining, closing))
        {
            case Beginning.Same:
                connection.Features.Get<FlowClient>()!.Entry = "connect";
                using (metrics.Begin("connect"))
                    await AcceptConnectAsync(connection, next, deadline, closing);
                break;
            case Beginning.Other:
                PlainHttp.Mark(connection);
                using (metrics.Begin("http"))
                    await next(connection);
                break;
            case Beginning.Late:
                await AnswerAsync(connection, ConnectHead.TooSlow.Error!, closing);
                break;
        }
    }

    private async Task AcceptConnectAsync(ConnectionContext connection, ConnectionDelegate next, HeadDeadline deadline, CancellationToken closing)
    {
        if (await ReadHeadAsync(connection, deadline, closing) is not { } head)
            return;
        var error = head.Error;
        if (error is null)
        {
            var login = await users.AdmitAsync(head.Authorization, (connection.RemoteEndPoint as IPEndPoint)?.Address, closing);
            connection.Features.Get<FlowClient>()!.Name = login.Name;
            error = login.IsAdmitted ? null : ProxyUsers.Unknown;
        }

        using var approval = error is null ? await JudgePassthroughAsync(connection, head.Target, closing) : default;
        if (error is null && approval.Verdict is { Allowed: false, Rule: not null })
            error = ProxyError.Blocked(approval.Verdict);
        if (error is not null)
        {
            await AnswerAsync(connection, error, closing, head.Target);
            return;
        }

        try
        {
            await new ClientOutput(connection).SendAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), closing);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return;
        }

        await EnterAsync(connection, head.Target, next, closing);
    }

    private static async Task<ConnectHead?> ReadHeadAsync(ConnectionContext connection, HeadDeadline deadline, CancellationToken closing)
    {
        // A slow sender must not hold a connection for ever (Slowloris).
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(closing);
        limit.CancelAfter(deadline.Remaining);
        var input = connection.Transport.Input;
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(limit.Token);
                if (ConnectHead.TryRead(read.Buffer, out var head, out var consumed))
                {
                    input.AdvanceTo(consumed);
                    return head;
                }

                input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                if (read.IsCompleted)
                    return null;
            }
        }
        catch (OperationCanceledException) when (!closing.IsCancellationRequested)
        {
            return ConnectHead.TooSlow;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            return null;
        }
    }

    /// <summary>Goes on inside a tunnel that was granted, whoever granted it (CONNECT or SOCKS5).</summary>
    private Task EnterAsync(ConnectionContext connection, ConnectTarget target, ConnectionDelegate next, CancellationToken closing) =>
        EnterAsync(connection, new Tunnel(target), next, closing);

    /// <summary>Goes on inside a tunnel that nobody asked for: a redirected connection.</summary>
    public async Task EnterAsync(ConnectionContext connection, Tunnel tunnel, ConnectionDelegate next, CancellationToken closing)
    {
        var target = tunnel.Target;
        tunnel.Client = connection.Features.Get<FlowClient>()?.Name;
        connection.Features.Set(tunnel);
        if (passthrough.Value.Hosts.Contains(target.Host))
        {
            await RelayAsync(connection, target, policy.JudgeBlindTunnel(target, tunnel.Client), next: null, closing);
            return;
        }

        // A redirected client has been waited for already, to know whom it is for.
        var input = connection.Transport.Input;
        var first = tunnel.IsTransparent ? await ProtocolSniffer.PeekAsync(input, ProtocolSniffer.ServerFirst, closing)
            : await ProtocolSniffer.AwaitClientAsync(input, () => policy.WouldPassRaw(target, tunnel.Client), closing);
        if (first is FirstByte.Http && !await ProtocolSniffer.IsRequestAsync(input, ProtocolSniffer.ServerFirst, closing))
            first = FirstByte.Unknown;
        if (first is FirstByte.Tls or FirstByte.Http)
            await InterceptAsync(connection, tunnel, first, next, closing);
        else if (first is FirstByte.None && !tunnel.IsTransparent)
            TellUnused(connection, tunnel, isTls: false);
        else
            await RelayAsync(connection, target, policy.JudgeRawTunnel(target, tunnel.Client), first is FirstByte.Silent ? next : null, closing);
    }

    private async Task InterceptAsync(
        ConnectionContext connection, Tunnel tunnel, FirstByte first, ConnectionDelegate next, CancellationToken closing)
    {
        if (first is FirstByte.Http)
        {
            tunnel.Scheme = "http";
            PlainHttp.Mark(connection);
            // HTTP/2 without TLS begins with a fixed preface (RFC 9113, 3.4): gRPC clients send it through CONNECT.
            switch (await ProtocolSniffer.StartsWithAsync(connection.Transport.Input, Http2Preface, limits.BeginHead().Remaining, closing))
            {
                case Beginning.Same:
                    PlainHttp.MarkHttp2(connection);
                    break;
                case Beginning.Late:
                    await AnswerAsync(connection, ConnectHead.TooSlow.Error!, closing);
                    return;
            }
        }
        else if (!await ReadHelloAsync(connection, tunnel, closing))
        {
            Refuse(connection, "the first message of TLS did not come in time");
            return;
        }

        try
        {
            await next(connection);
        }
        finally
        {
            if (!tunnel.IsUsed)
                TellUnused(connection, tunnel, first is FirstByte.Tls);
            if (tunnel.Server is { } server)
                await server.DisposeAsync();
        }
    }

    // The commonest trouble of all is seen nowhere else: a client that does not trust the authority, or pins a certificate, ends the tunnel before it has asked.
    private void TellUnused(ConnectionContext connection, Tunnel tunnel, bool isTls)
    {
        var flow = flows.Begin(connection, tunnel.Target, isTls ? "tls" : "tcp");
        var verdict = policy.JudgeTunnel(tunnel.Target, tunnel.Client);
        flow.Decide(verdict);
        flow.IsComplete = false;
        flow.Error = !verdict.Allowed ? "blocked" : isTls && !tunnel.IsSecured ? "the client ended TLS before it was agreed on" : "the client asked for nothing";
        if (!verdict.Allowed)
            LogBlocked(tunnel.Target, verdict.Rule, verdict.Reason, flow.Id);
        else if (isTls && !tunnel.IsSecured)
            LogNotTrusted(tunnel.Target, flow.Id);
        flows.End(flow);
    }

    // False when it did not come. One that is malformed is left to the TLS stage, which answers with an alert.
    private async ValueTask<bool> ReadHelloAsync(ConnectionContext connection, Tunnel tunnel, CancellationToken closing)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(closing);
        limit.CancelAfter(limits.Handshake);
        try
        {
            tunnel.Offered = (await ClientHello.PeekAsync(connection.Transport.Input, limit.Token))?.Protocols;
            return true;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            return false;
        }
    }

    /// <param name="next">Given when the client is silent: should it speak before the upstream does, it is sniffed after all, so that
    /// waiting is no way round interception.</param>
    private async Task RelayAsync(ConnectionContext connection, ConnectTarget target, EgressVerdict verdict, ConnectionDelegate? next, CancellationToken closing)
    {
        var flow = flows.Begin(connection, target, "tcp");
        using var approval = await policy.AskAsync(verdict, new EgressQuestion(target, flow.Client, "CONNECT"), closing);
        verdict = approval.Verdict;
        flow.Decide(verdict);
        if (!verdict.Allowed)
        {
            LogBlocked(target, verdict.Rule, verdict.Reason, flow.Id);
            flow.Error = "blocked";
            flows.End(flow);
            if (connection.Features.Get<Tunnel>() is { IsTransparent: true })
                await bypasses.TellAsync(target, connection.RemoteEndPoint, closing);
            return;
        }

        try
        {
            // Not the connection's own token: Kestrel cancels that when a client has said all it has to say, and still listens.
            var upstream = await dialer.ConnectAsync(target, Uri.UriSchemeHttps, closing);
            using (upstream.Socket)
            {
                if (next is null || await WhoSpeaksFirstAsync(connection, upstream.Socket, closing) is not { } first)
                {
                    flow.Use(upstream.Times, isNew: true);
                    LogTunnelOpened(target, flow.Id);
                    var (up, down) = await traffic.RelayAsync(target, connection, upstream, flow, closing);
                    LogTunnelClosed(target, up, down, flow.Id);
                    flows.End(flow);
                    return;
                }

                upstream.Socket.Close();
                await InterceptAsync(connection, connection.Features.Get<Tunnel>()!, first, next, closing);
            }
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
        {
            var error = UpstreamFailures.ToError(e, target.Host);
            flow.Fail(error);
            flow.IsComplete = false;
            LogTunnelFailed(target, error.Reason, flow.Id);
            flows.End(flow);
        }
    }

    /// <returns>The protocol to intercept, or null when the tunnel is to be relayed.</returns>
    private static async Task<FirstByte?> WhoSpeaksFirstAsync(ConnectionContext connection, Socket upstream, CancellationToken cancellation)
    {
        using var decided = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var client = ProtocolSniffer.PeekAsync(connection.Transport.Input, Timeout.InfiniteTimeSpan, decided.Token).AsTask();
        var server = upstream.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, decided.Token).AsTask();
        await Task.WhenAny(client, server);
        await decided.CancelAsync();
        var first = await client;
        await server.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return first is FirstByte.Tls or FirstByte.Http ? first : null;
    }

    /// <returns>Without a rule where the tunnel is looked into, and judged by what is in it.</returns>
    private async ValueTask<Approval> JudgePassthroughAsync(ConnectionContext connection, ConnectTarget target, CancellationToken closing)
    {
        if (!passthrough.Value.Hosts.Contains(target.Host))
            return default;
        var client = connection.Features.Get<FlowClient>();
        return await policy.AskAsync(policy.JudgeBlindTunnel(target, client?.Name), new EgressQuestion(target, client, "CONNECT"), closing);
    }

    private async ValueTask AnswerAsync(ConnectionContext connection, ProxyError error, CancellationToken closing, ConnectTarget? target = null)
    {
        var flow = flows.Begin(connection, target is { Port: > 0 } ? target : null);
        flow.Refuse(error.Code);
        flow.Fail(error);
        flow.Status = error.Status;
        LogRefused(connection.RemoteEndPoint, error.Reason, flow.Id);
        flows.End(flow);
        await connection.Transport.Output.WriteAsync(ProxyErrors.ToMessage(error, flow.Id), closing);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "the client ended TLS before it was agreed on: as a rule it does not trust the proxy's CA (`discobot doctor`), or pins a certificate (tls.passthrough) {Target} {Id}")]
    private partial void LogNotTrusted(ConnectTarget target, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "connection refused {Client} {Reason} {Id}")]
    private partial void LogRefused(System.Net.EndPoint? client, string reason, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "blocked {Target} {Rule} {Reason} {Id}")]
    private partial void LogBlocked(ConnectTarget target, string rule, string reason, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "tunnel {Target} {Id}")]
    private partial void LogTunnelOpened(ConnectTarget target, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "tunnel end {Target} {Up} {Down} {Id}")]
    private partial void LogTunnelClosed(ConnectTarget target, long up, long down, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "tunnel failed {Target} {Reason} {Id}")]
    private partial void LogTunnelFailed(ConnectTarget target, string reason, string id);
}
