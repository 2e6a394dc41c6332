using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Infrastructure.Wire;

/// <summary>Requests, tunnels and upstream connections that are open, so that a change of rules ends at once what it forbids: a WebSocket
/// can live for days, and a pooled connection to an address that is now forbidden would serve the next request.</summary>
internal sealed partial class OpenTraffic(IEgressPolicy policy, UpstreamBytes bytes, ILogger<OpenTraffic> log)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);
    private readonly ConcurrentDictionary<Entry, bool> _open = [];

    /// <summary>Watches a request until disposed. Called before the request is judged, so that no change falls between.</summary>
    public IDisposable Watch(ProxiedRequest request, HttpContext context) => Add(new Request(this, request, context));

    /// <summary>Relays a tunnel until it ends or is forbidden.</summary>
    /// <returns>Bytes sent up and down.</returns>
    public async Task<(long Up, long Down)> RelayAsync(
        ConnectTarget target, ConnectionContext client, DialledSocket upstream, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var entry = Add(new Tunnel(this, target, upstream.Address, stop));
        // The tunnel was judged before it was dialled; rules may have changed meanwhile.
        JudgeAgain(entry);
        return await BlindRelay.RunAsync(client, upstream.Socket, bytes, stop.Token);
    }

    /// <summary>A connection that a pool will keep: cut off when its address is forbidden, whether a request is using it or none.</summary>
    /// <returns>The stream; it owns the socket.</returns>
    public Stream Watch(ConnectTarget target, DialledSocket upstream)
    {
        var entry = new Connection(this, target, upstream);
        var stream = new UpstreamStream(upstream.Socket, bytes, Add(entry));
        JudgeAgain(entry);
        return stream;
    }

    /// <summary>A connection to a parent proxy that carries requests for many hosts, each of which is judged and watched by itself.</summary>
    public Stream Share(Socket parent) => new UpstreamStream(parent, bytes, watch: null);

    /// <summary>Ends what the policy no longer allows. Called after each change of rules.</summary>
    public void JudgeAgain()
    {
        foreach (var (entry, _) in _open)
            JudgeAgain(entry);
    }

    /// <summary>Waits until nothing has been under way for some time; not at all when nothing is now.</summary>
    /// <param name="pause">How long that must last.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="OperationCanceledException">Something was under way all the time.</exception>
    public async Task IdleAsync(TimeSpan pause, CancellationToken cancellation)
    {
        while (!_open.IsEmpty)
        {
            for (var quiet = TimeSpan.Zero; quiet < pause; quiet += Poll)
            {
                await Task.Delay(Poll, cancellation);
                if (!_open.IsEmpty)
                    quiet = TimeSpan.Zero;
            }
        }
    }

    private void JudgeAgain(Entry entry)
    {
        var verdict = entry.Judge(policy);
        if (!verdict.Allowed && entry.TryEnd() && entry.IsSeen)
            LogEnded(entry.Target, verdict.Rule, verdict.Reason);
    }

    private Entry Add(Entry entry)
    {
        _open[entry] = true;
        return entry;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "blocked under way {Target} {Rule} {Reason}")]
    private partial void LogEnded(ConnectTarget target, string rule, string reason);

    private abstract class Entry(OpenTraffic traffic) : IDisposable
    {
        private readonly Lock _lock = new();
        private bool _isOver;

        public abstract ConnectTarget Target { get; }

        /// <summary>Whether a client can tell that it ended.</summary>
        public virtual bool IsSeen => true;

        public abstract EgressVerdict Judge(IEgressPolicy policy);

        public bool TryEnd()
        {
            // Under the lock: once disposed, the server may use the same context for another request.
            lock (_lock)
            {
                if (_isOver)
                    return false;
                _isOver = true;
                End();
                return true;
            }
        }

        public void Dispose()
        {
            traffic._open.TryRemove(this, out _);
            lock (_lock)
                _isOver = true;
        }

        protected abstract void End();
    }

    private sealed class Request(OpenTraffic traffic, ProxiedRequest request, HttpContext context) : Entry(traffic)
    {
        private readonly string _method = context.Request.Method;

        public override ConnectTarget Target => request.Target;

        public override EgressVerdict Judge(IEgressPolicy policy) => policy.JudgeRequest(request.Target, _method, request.Path);

        protected override void End() => context.Abort();
    }

    private sealed class Tunnel(OpenTraffic traffic, ConnectTarget target, IPAddress? address, CancellationTokenSource stop) : Entry(traffic)
    {
        public override ConnectTarget Target => target;

        public override EgressVerdict Judge(IEgressPolicy policy) =>
            policy.JudgeBlindTunnel(target) is var verdict && (!verdict.Allowed || address is null) ? verdict : policy.JudgeAddress(target, address);

        protected override void End() => stop.Cancel();
    }

    private sealed class Connection(OpenTraffic traffic, ConnectTarget target, DialledSocket upstream) : Entry(traffic)
    {
        public override ConnectTarget Target => target;

        public override bool IsSeen => false;

        public override EgressVerdict Judge(IEgressPolicy policy) =>
            upstream.Address is null ? policy.JudgeTunnel(target) : policy.JudgeAddress(target, upstream.Address);

        // Not disposed: whoever reads or writes right now gets an end or an error, as if the peer had gone.
        protected override void End()
        {
            try
            {
                upstream.Socket.Shutdown(SocketShutdown.Both);
            }
            catch (SocketException)
            {
                // It has gone.
            }
        }
    }
}
