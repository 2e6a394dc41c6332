using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.Socks5;

/// <summary>SOCKS5 (RFC 1928) on the shared port: greeting, perhaps name and password, one request, one reply, then a tunnel.</summary>
internal sealed partial class SocksServer(
    SocksOptions options, IEgressPolicy policy, Dialer dialer, NameLookups names, OpenTraffic traffic, ProxyUsers users, HandshakeLimit handshake,
    TimeProvider time, FlowRecorder flows, ILogger<SocksServer> log) : ISocksServer
{
    /// <summary>Limit on resolving and dialling together, for all addresses of a name.</summary>
    private static readonly TimeSpan DialLimit = TimeSpan.FromSeconds(20);

    public async Task OnConnectionAsync(
        ConnectionContext connection, Func<ConnectTarget, ConnectionContext, Task> inspect, CancellationToken closing)
    {
        try
        {
            if (await NegotiateAsync(connection, closing) is not { } request)
                return;
            switch (request.Command)
            {
                case SocksCommand.Connect:
                    await ConnectAsync(connection, request.Destination, inspect, closing);
                    break;
                case SocksCommand.UdpAssociate when options.Udp:
                    await AssociateAsync(connection, request.Destination, closing);
                    break;
                default:
                    Refuse(connection, request.Command == SocksCommand.UdpAssociate
                        ? "UDP ASSOCIATE is off; socks.udp: true allows it" : $"command {(byte)request.Command} is not supported");
                    await ReplyAsync(connection, SocksReply.CommandNotSupported, null, closing);
                    break;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client is gone, or we are going.
        }
    }

    private async Task ConnectAsync(
        ConnectionContext connection,
        SocksAddress destination,
        Func<ConnectTarget, ConnectionContext, Task> inspect,
        CancellationToken closing)
    {
        if (TargetOf(destination) is not { } target)
        {
            Refuse(connection, "the destination is neither a name nor an address with a port");
            await ReplyAsync(connection, SocksReply.GeneralFailure, null, closing);
            return;
        }

        // Inspected tunnels are judged by what is in them; an address may there turn out to be a name that is allowed (TLS says which).
        var isLiteral = destination.Host is { IsLiteral: true };
        var client = connection.Features.Get<FlowClient>();
        var verdict = !options.Inspect ? policy.JudgeBlindTunnel(target, client?.Name)
            : isLiteral ? EgressVerdict.Allow("inspected") : policy.JudgeTunnel(target, client?.Name);
        using var approval = await policy.AskAsync(verdict, new EgressQuestion(target, client, "CONNECT"), closing);
        verdict = approval.Verdict;
        if (!verdict.Allowed)
        {
            var flow = flows.Begin(connection, target, "tcp");
            flow.Decide(verdict);
            flow.Error = "blocked";
            LogBlocked(target, verdict.Rule, verdict.Reason, flow.Id);
            flows.End(flow);
            await ReplyAsync(connection, SocksReply.NotAllowed, null, closing);
        }
        else if (options.Inspect)
        {
            // As with CONNECT, interception dials when it knows what is asked, and says what failed in words.
            await ReplyAsync(connection, SocksReply.Succeeded, null, closing);
            await inspect(target, connection);
        }
        else
        {
            await RelayAsync(connection, target, verdict, closing);
        }
    }

    private async Task RelayAsync(ConnectionContext connection, ConnectTarget target, EgressVerdict verdict, CancellationToken closing)
    {
        var flow = flows.Begin(connection, target, "tcp");
        flow.Decide(verdict);
        DialledSocket upstream;
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(closing))
        {
            limit.CancelAfter(DialLimit);
            try
            {
                upstream = await dialer.ConnectAsync(target, Uri.UriSchemeHttps, limit.Token);
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
            {
                var reply = SocksReplies.Of(e);
                var error = UpstreamFailures.ToError(e, target.Host);
                flow.Fail(error);
                flow.IsComplete = false;
                LogFailed(target, error.Reason, flow.Id);
                flows.End(flow);
                await ReplyAsync(connection, reply, null, closing);
                return;
            }
        }

        using (upstream.Socket)
        {
            await ReplyAsync(connection, SocksReply.Succeeded, (IPEndPoint?)upstream.Socket.LocalEndPoint, closing);
            flow.Use(upstream.Times, isNew: true);
            LogOpened(target, flow.Id);
            try
            {
                await traffic.RelayAsync(target, connection, upstream, flow, closing);
                LogClosed(target, flow.RequestBytes, flow.ResponseBytes, flow.Id);
            }
            finally
            {
                flows.End(flow);
            }
        }
    }

    private void Refuse(ConnectionContext connection, string reason)
    {
        var flow = flows.Begin(connection);
        flow.Refuse(reason);
        LogRefused(connection.RemoteEndPoint, reason, flow.Id);
        flows.End(flow);
    }

    private static ConnectTarget? TargetOf(in SocksAddress destination) =>
        destination is { Host: { } host, Port: > 0 } ? new ConnectTarget(host.Name, destination.Port) : null;

    private static ValueTask ReplyAsync(
        ConnectionContext connection, SocksReply reply, IPEndPoint? bound, CancellationToken cancellation) =>
        new ClientOutput(connection).SendAsync(reply.Write(bound), cancellation);

    [LoggerMessage(Level = LogLevel.Warning, Message = "connection refused {Client} {Reason} {Id}")]
    private partial void LogRefused(EndPoint? client, string reason, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "blocked {Target} {Rule} {Reason} {Id}")]
    private partial void LogBlocked(ConnectTarget target, string rule, string reason, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "tunnel {Target} {Id}")]
    private partial void LogOpened(ConnectTarget target, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "tunnel end {Target} {Up} {Down} {Id}")]
    private partial void LogClosed(ConnectTarget target, long up, long down, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "tunnel failed {Target} {Reason} {Id}")]
    private partial void LogFailed(ConnectTarget target, string reason, string id);
}

/// <summary>On everything up to the request: a slow sender must not hold a connection for ever.</summary>
internal sealed record HandshakeLimit(TimeSpan Time)
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    /// <param name="readTimeout">What other requests' heads may take; zero is no limit.</param>
    public static HandshakeLimit For(TimeSpan readTimeout) => new(readTimeout > TimeSpan.Zero && readTimeout < Longest ? readTimeout : Longest);
}
