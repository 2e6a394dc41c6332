using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Infrastructure.Wire;

/// <summary>Requests, tunnels and upstream connections that are open, so that a change of rules ends at once what it forbids: a WebSocket
/// can live for days, and a pooled connection to an address that is now forbidden would serve the next request.</summary>
internal sealed partial class OpenTraffic(IEgressPolicy policy, UpstreamBytes bytes, StreamIdle idle, ILogger<OpenTraffic> log)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);
    private readonly ConcurrentDictionary<Entry, bool> _open = [];

    /// <summary>Judges a request and watches one that is allowed. No change of rules falls between the two.</summary>
    /// <param name="request">Where it goes.</param>
    /// <param name="context">Aborted when new rules forbid it.</param>
    /// <param name="watch">Disposed when the request is over; null when it is refused.</param>
    public EgressVerdict Admit(ProxiedRequest request, HttpContext context, out IDisposable? watch)
    {
        var entry = Add(new Request(this, request, context));
        var verdict = entry.Admit(policy);
        watch = verdict.Allowed ? entry : null;
        if (!verdict.Allowed)
            entry.Dispose();
        return verdict;
    }

    /// <summary>Relays a tunnel until it ends or is forbidden.</summary>
    /// <returns>Bytes sent up and down.</returns>
    public async Task<(long Up, long Down)> RelayAsync(
        ConnectTarget target, ConnectionContext client, DialledSocket upstream, Flow flow, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var entry = Watch(target, upstream.Address, stop, flow);
        (flow.RequestBytes, flow.ResponseBytes) = await BlindRelay.RunAsync(client, upstream.Socket, bytes, idle, stop.Token);
        flow.IsComplete = !stop.IsCancellationRequested;
        return (flow.RequestBytes, flow.ResponseBytes);
    }

    /// <summary>A tunnel that is not inspected: it ends when new rules forbid it.</summary>
    /// <param name="target">Where it leads.</param>
    /// <param name="address">The address that was dialled; null behind a parent proxy.</param>
    /// <param name="stop">Cancelled when it is forbidden.</param>
    /// <param name="flow">Told why.</param>
    /// <returns>Disposed when the tunnel is over, before <paramref name="stop"/> is.</returns>
    public IDisposable Watch(ConnectTarget target, IPAddress? address, CancellationTokenSource stop, Flow? flow = null)
    {
        var entry = Add(new Tunnel(this, target, address, stop, flow));
        // The tunnel was judged before it was dialled; rules may have changed meanwhile.
        JudgeAgain(entry);
        return entry;
    }

    /// <summary>A connection that a pool will keep: cut off when its address is forbidden, whether a request is using it or none.</summary>
    /// <returns>The stream; it owns the socket.</returns>
    public UpstreamStream Watch(ConnectTarget target, DialledSocket upstream)
    {
        var entry = new Connection(this, target, upstream, bytes);
        Add(entry);
        JudgeAgain(entry);
        return entry.Stream;
    }

    /// <summary>A download that goes on without its client: it ends when new rules forbid the request that it was begun for.</summary>
    /// <param name="request">That request.</param>
    /// <param name="method">Its method.</param>
    /// <param name="stop">Cancelled when it is forbidden.</param>
    /// <returns>Disposed when the download is over, before <paramref name="stop"/> is.</returns>
    public IDisposable Watch(ProxiedRequest request, string method, CancellationTokenSource stop)
    {
        var entry = Add(new Download(this, request, method, stop));
        // The request was judged some time ago.
        JudgeAgain(entry);
        return entry;
    }

    /// <summary>A connection to a parent proxy that carries requests for many hosts, each of which is judged and watched by itself.</summary>
    public UpstreamStream Share(Socket parent) => new UpstreamStream(parent, bytes, watch: null);

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
        while (!IsIdle)
        {
            for (var quiet = TimeSpan.Zero; quiet < pause; quiet += Poll)
            {
                await Task.Delay(Poll, cancellation);
                if (!IsIdle)
                    quiet = TimeSpan.Zero;
            }
        }
    }

    // Connections that the pool keeps are nobody's work.
    private bool IsIdle
    {
        get
        {
            foreach (var (entry, _) in _open)
            {
                if (entry.IsSeen)
                    return false;
            }

            return true;
        }
    }

    private void JudgeAgain(Entry entry)
    {
        var verdict = entry.Judge(policy);
        if (!verdict.Allowed && entry.TryEnd(verdict) && entry.IsSeen)
            LogEnded(entry.Target, verdict.Rule, verdict.Reason);
    }

    private Entry Add(Entry entry)
    {
        _open[entry] = true;
        return entry;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "blocked under way {Target} {Rule} {Reason}")]
    private partial void LogEnded(ConnectTarget target, string rule, string reason);

    /// <param name="traffic">Where it is kept.</param>
    /// <param name="isPending">Whether <see cref="Admit"/> follows: until then new rules only make it judge again, so that who is refused is
    /// told so instead of being cut off.</param>
    private abstract class Entry(OpenTraffic traffic, bool isPending = false) : IDisposable
    {
        private readonly Lock _lock = new();
        private bool _isPending = isPending;
        private bool _isOutdated;
        private bool _isOver;

        public abstract ConnectTarget Target { get; }

        /// <summary>Whether a client can tell that it ended.</summary>
        public virtual bool IsSeen => true;

        public abstract EgressVerdict Judge(IEgressPolicy policy);

        public EgressVerdict Admit(IEgressPolicy policy)
        {
            while (true)
            {
                var verdict = Judge(policy);
                lock (_lock)
                {
                    _isPending = _isOutdated;
                    _isOutdated = false;
                    if (_isPending)
                        continue;
                    _isOver = !verdict.Allowed;
                    return verdict;
                }
            }
        }

        public bool TryEnd(in EgressVerdict verdict)
        {
            // Under the lock: once disposed, the server may use the same context for another request.
            lock (_lock)
            {
                _isOutdated = _isPending;
                if (_isOver || _isPending)
                    return false;
                _isOver = true;
                End(verdict);
                return true;
            }
        }

        public void Dispose()
        {
            traffic._open.TryRemove(this, out _);
            lock (_lock)
                _isOver = true;
        }

        protected abstract void End(in EgressVerdict verdict);
    }

    private sealed class Request(OpenTraffic traffic, ProxiedRequest request, HttpContext context) : Entry(traffic, isPending: true)
    {
        private readonly string _method = context.Request.Method;

        public override ConnectTarget Target => request.Target;

        public override EgressVerdict Judge(IEgressPolicy policy) => policy.JudgeRequest(request.Target, _method, request.PathAndQuery, request.Client);

        protected override void End(in EgressVerdict verdict)
        {
            Flow.Of(context)?.Fail(ProxyError.Blocked(verdict));
            context.Abort();
        }
    }

    private sealed class Download(OpenTraffic traffic, ProxiedRequest request, string method, CancellationTokenSource stop) : Entry(traffic)
    {
        public override ConnectTarget Target => request.Target;

        public override bool IsSeen => false;

        public override EgressVerdict Judge(IEgressPolicy policy) => policy.JudgeRequest(request.Target, method, request.PathAndQuery, request.Client);

        protected override void End(in EgressVerdict verdict) => stop.Cancel();
    }

    private sealed class Tunnel(OpenTraffic traffic, ConnectTarget target, IPAddress? address, CancellationTokenSource stop, Flow? flow) : Entry(traffic)
    {
        public override ConnectTarget Target => target;

        public override EgressVerdict Judge(IEgressPolicy policy) =>
            policy.JudgeBlindTunnel(target, flow?.ClientName) is var verdict && (!verdict.Allowed || address is null) ? verdict : policy.JudgeAddress(target, address);

        protected override void End(in EgressVerdict verdict)
        {
            flow?.Fail(ProxyError.Blocked(verdict));
            stop.Cancel();
        }
    }

    private sealed class Connection : Entry
    {
        private readonly IPAddress? _address;

        public Connection(OpenTraffic traffic, ConnectTarget target, DialledSocket upstream, UpstreamBytes bytes) : base(traffic)
        {
            (Target, _address) = (target, upstream.Address);
            Stream = new UpstreamStream(upstream.Socket, bytes, this);
        }

        public UpstreamStream Stream { get; }

        public override ConnectTarget Target { get; }

        public override bool IsSeen => false;

        public override EgressVerdict Judge(IEgressPolicy policy) =>
            _address is null ? policy.JudgeTunnel(Target, ProxyUsers.Anyone) : policy.JudgeAddress(Target, _address);

        protected override void End(in EgressVerdict verdict) => Stream.Refuse(verdict);
    }
}
