using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>The way out: pooled connections for all hosts. Nothing is followed, decoded, stored or added; TLS is always verified. HTTP/1.1 is
/// spoken by ourselves, HTTP/2 by .NET.</summary>
internal sealed class Upstream : IUpstream, IDisposable
{
    /// <summary>Limit on connecting, TLS included.</summary>
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(10);
    private const int MaxRemembered = 10_000;

    private static readonly List<SslApplicationProtocol> Http1 = [SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> Both = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    private readonly ConcurrentDictionary<ConnectTarget, long> _http1Only = new();

    // Seen to speak HTTP/2 without TLS, which nothing but a first answer tells.
    private readonly ConcurrentDictionary<ConnectTarget, bool> _cleartextHttp2 = new();

    // Of the last connection to each: .NET does not say which one a request takes.
    private readonly ConcurrentDictionary<ConnectTarget, IPAddress?> _http2Addresses = new();
    private readonly Dialer _dialer;
    private readonly OpenTraffic _traffic;
    private readonly ParentProxies _parents;
    private readonly UpstreamTrust _trust;
    private readonly UpstreamTls _tls;
    private readonly CertificateHints _hints;
    private readonly Http1Pool _pool;
    private readonly HttpMessageInvoker _http2;
    private readonly long _silence;
    private readonly long _streams;
    private readonly Action<Http1Connection, bool> _done;

    public Upstream(Dialer dialer, OpenTraffic traffic, ParentProxies parents, UpstreamTrust trust, UpstreamTls tls, CertificateHints hints, ForwardingLimits limits, StreamIdle streams)
    {
        (_dialer, _traffic, _parents, _trust, _tls, _hints) = (dialer, traffic, parents, trust, tls, hints);
        (_silence, _streams) = ((long)limits.Silence.TotalMilliseconds, (long)streams.Limit.TotalMilliseconds);
        _pool = new Http1Pool(limits.Silence == Timeout.InfiniteTimeSpan || (streams.IsLimited && streams.Limit < limits.Silence) ? streams.Limit : limits.Silence, TimeProvider.System);
        _done = _pool.Done;
        _http2 = new HttpMessageInvoker(CreateHttp2Handler());
    }

    /// <summary>Sends a request by HTTP/1.1 and returns when the answer's head has arrived.</summary>
    /// <param name="scheme"><c>http</c> or <c>https</c>.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="request">What is sent.</param>
    /// <param name="bound">The connections that belong to this client alone; null where it has none.</param>
    /// <param name="binds">Whether the request makes its connection one of them.</param>
    /// <param name="flow">For whom it is sent, told how that went.</param>
    /// <param name="news">Told how it gets its connection; null: nobody. Whoever is told has something better to do than to wait on a connection whose
    /// peer is silently gone (<see cref="ConnectionDoubt"/>).</param>
    /// <param name="cancellation">Ends the exchange, until it is disposed.</param>
    /// <returns>To be disposed when the answer has been read.</returns>
    /// <exception cref="RequestBodyException">The client's body is malformed.</exception>
    /// <exception cref="IOException">Resolve, connect, TLS or protocol failure, as are SocketException, AuthenticationException, TimeoutException and
    /// HttpRequestException; see <see cref="UpstreamFailures"/>.</exception>
    public async ValueTask<UpstreamExchange> SendAsync(
        string scheme, ConnectTarget target, Http1Request request, BoundConnections? bound, bool binds, Flow? flow, ConnectionNews? news, CancellationToken cancellation)
    {
        var origin = await RouteAsync(scheme, target, request, cancellation);
        var isDoubted = false;
        // Who is proved for a connection that is nobody's own (credentials of a header rule, the cache's requests) is so for this request alone.
        using var once = !binds && Identity.IsProved(request.Fields[HeaderNames.Authorization]) ? NewBound() : null;
        while (true)
        {
            var own = once is null ? bound?.TryTake(origin) : null;
            // Where one was silently gone, so are those that rested beside it.
            var connection = own ?? (isDoubted ? null : _pool.TryTake(origin, request.IsRepeatable)) ?? await ConnectAsync(origin, news, cancellation);
            Action<Http1Connection, bool> done = once is not null ? once.GiveBack : own is not null || binds ? bound!.GiveBack : _done;
            var exchange = new UpstreamExchange(new Http1Exchange(request, connection, done, _silence, _streams), cancellation);
            flow?.Use(connection.Times, isNew: !connection.IsReused);
            flow?.Sent();
            if (connection.IsReused)
                news?.Begun(true);
            using var doubt = news is not null && connection.IsReused ? new ConnectionDoubt(connection, news) : null;
            try
            {
                var sent = TimeProvider.System.GetTimestamp();
                await exchange.Http1.SendAsync();
                if (connection.IsReused)
                    news?.Connected();
                flow?.Answered(TimeProvider.System.GetElapsedTime(sent));
                if (origin.Scheme == Uri.UriSchemeHttps)
                    _hints.Note(origin.Target, exchange.Http1.Head.Status, Http1, flow);
                return exchange.Http1.Head.Status == StatusCodes.Status407ProxyAuthenticationRequired && origin.Parent is { } parent
                    // Meant for us, not for the client, which could do nothing about it.
                    ? throw ParentProxyException.Unauthorized(parent)
                    : exchange;
            }
            catch (Exception e)
            {
                var again = connection.IsReused && !connection.HasAnswered && request.IsRepeatable && !exchange.Http1.HasHeardEnd
                    && e is IOException and not (DialRefusedException or ParentProxyException) && !cancellation.IsCancellationRequested;
                isDoubted |= doubt?.IsGone == true;
                await exchange.DisposeAsync();
                if (again)
                    continue;
                if (origin.Scheme == Uri.UriSchemeHttps && !connection.IsReused && !connection.HasAnswered
                    && await _tls.ExplainAsync(e, origin.Target, Http1, cancellation) is var meant && meant != e)
                    throw meant;
                throw;
            }
        }
    }

    /// <summary>Sends a request by HTTP/2.</summary>
    /// <exception cref="HttpRequestException">As for <see cref="IUpstream.SendAsync"/>; with <see cref="Http1ChosenException"/> inside where the server does
    /// not speak it, or as VersionNegotiationError where it does not want to for this request.</exception>
    public async Task<HttpResponseMessage> SendHttp2Async(HttpRequestMessage request, CancellationToken cancellation)
    {
        var (flow, target) = (UpstreamRequests.FlowOf(request), ParentProxies.TargetOf(request.RequestUri!));
        var started = TimeProvider.System.GetTimestamp();
        if (flow is not null && _http2Addresses.TryGetValue(target, out var address))
            flow.Use(new ConnectionTimes(address), isNew: false);
        flow?.Sent();
        try
        {
            var response = await _http2.SendAsync(request, cancellation);
            if (IsCleartext(request))
                NoteCleartextHttp2(target);
            else
                _hints.Note(target, (int)response.StatusCode, Both, flow);
            flow?.Answered(TimeProvider.System.GetElapsedTime(started) - (flow.Dns + flow.Connect + flow.Tls ?? TimeSpan.Zero));
            return response;
        }
        catch (HttpRequestException e) when (IsCleartext(request))
        {
            throw _cleartextHttp2.ContainsKey(target) ? e : new HttpRequestException(e.Message, new Http1ChosenException());
        }
        catch (HttpRequestException e)
        {
            if (await _tls.ExplainAsync(e, target, Both, cancellation) is var meant && meant != e)
                throw new HttpRequestException(e.Message, meant);
            throw;
        }
    }

    /// <summary>Whether requests for this host may be sent by HTTP/2: over TLS, unless it was seen not to speak it; without, only those that came so.</summary>
    /// <param name="scheme">Of the request.</param>
    /// <param name="target">The host.</param>
    /// <param name="isOwnChoice">Whether its client has begun HTTP/2 by itself.</param>
    public bool MaySpeakHttp2(string scheme, ConnectTarget target, bool isOwnChoice = false) => scheme != Uri.UriSchemeHttps ? isOwnChoice : !(_http1Only.TryGetValue(target, out var until) && Environment.TickCount64 < until);

    private static bool IsCleartext(HttpRequestMessage request) => request.RequestUri!.Scheme == Uri.UriSchemeHttp;

    private void NoteCleartextHttp2(ConnectTarget target)
    {
        if (_cleartextHttp2.Count >= MaxRemembered)
            _cleartextHttp2.Clear();
        _cleartextHttp2[target] = true;
    }

    // Remembers for a while that a host does not speak HTTP/2.
    private void NoteHttp1(ConnectTarget target)
    {
        if (_http1Only.Count >= MaxRemembered)
            _http1Only.Clear();
        _http1Only[target] = Environment.TickCount64 + (long)Memory.TotalMilliseconds;
    }

    /// <summary>Those of requests by HTTP/2.</summary>
    public RequestTrailers Trailers { get; } = new();

    /// <summary>For a client connection that proves who it is on upstream connections.</summary>
    public BoundConnections NewBound() => new(_pool);

    /// <inheritdoc/>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var fields = new FieldList();
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            foreach (var value in values)
                fields.Add(name, value);
        }

        var address = request.RequestUri!;
        if (!fields.Contains("Host"))
            fields.Add("Host", address.IsDefaultPort ? address.Host : $"{address.Host}:{address.Port}");
        var sent = new Http1Request { Method = request.Method.Method, Target = address.PathAndQuery, Fields = fields };
        try
        {
            var exchange = await SendAsync(address.Scheme, ParentProxies.TargetOf(address), sent, bound: null, binds: false, UpstreamRequests.FlowOf(request), UpstreamRequests.NewsOf(request), cancellation);
            if (exchange.Http1.Head.Status != StatusCodes.Status101SwitchingProtocols)
                return Http1Response.Of(exchange, request);
            await exchange.DisposeAsync();
            throw new MalformedMessageException("it switches protocols, which was not asked for");
        }
        catch (Exception e) when (e is not (HttpRequestException or OperationCanceledException))
        {
            throw new HttpRequestException(e.Message, e);
        }
    }

    public void Dispose()
    {
        _pool.Dispose();
        _http2.Dispose();
    }

    // Plain HTTP through an HTTP parent proxy goes in absolute-form, as browsers and curl send it: many parents refuse CONNECT to ports other than
    // 443. WebSockets over plain HTTP are tunnelled all the same (RFC 6455, 4.1): they would not survive the parent's own HTTP.
    private async ValueTask<Http1Origin> RouteAsync(string scheme, ConnectTarget target, Http1Request request, CancellationToken cancellation)
    {
        if (_parents.ForwarderOf(scheme, target) is not { } parent)
            return new Http1Origin(scheme, target);
        if (request.Fields.Contains("Upgrade"))
            return new Http1Origin("ws", target);
        await _dialer.JudgeBehindParentAsync(target, cancellation);
        if (ParentTunnel.Authorization(parent) is { } authorization)
            request.Fields.Set("Proxy-Authorization", authorization);
        var authority = target.Port == 80 ? $"{target}"[..^":80".Length] : $"{target}";
        request.Target = $"http://{authority}{(request.Target == "*" ? "" : request.Target)}";
        return new Http1Origin(scheme, parent.Target, parent);
    }

    private async ValueTask<Http1Connection> ConnectAsync(Http1Origin origin, ConnectionNews? news, CancellationToken cancellation)
    {
        news?.Begun(false);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(ConnectLimit);
        try
        {
            var connection = origin.Parent is { } parent
                ? Over(_traffic.Share(await _dialer.ConnectToParentAsync(parent, limit.Token)), origin)
                : await ConnectDirectlyAsync(origin, news, limit.Token);
            if (origin.Parent is not null)
                news?.Connected();
            _pool.Watch(connection);
            return connection;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"{origin.Target} did not let itself be connected to in time.", new SocketException((int)SocketError.TimedOut));
        }
    }

    private async ValueTask<Http1Connection> ConnectDirectlyAsync(Http1Origin origin, ConnectionNews? news, CancellationToken cancellation)
    {
        var dialled = await _dialer.ConnectAsync(origin.Target, origin.Scheme, cancellation);
        news?.Connected();
        var transport = _traffic.Watch(origin.Target, dialled);
        if (origin.Scheme != Uri.UriSchemeHttps)
            return Over(transport, origin, dialled.Times);
        var started = TimeProvider.System.GetTimestamp();
        return new Http1Connection(await _tls.SecureAsync(transport, origin.Target, Http1, cancellation), transport, origin)
        {
            Times = dialled.Times with { Tls = TimeProvider.System.GetElapsedTime(started) },
        };
    }

    private static Http1Connection Over(UpstreamStream transport, Http1Origin origin, ConnectionTimes times = default) => new(transport, transport, origin) { Times = times };

    private SocketsHttpHandler CreateHttp2Handler() => new()
    {
        // Never the process's own choice: HTTP_PROXY of the container names us. Tunnels through a parent are made below, when connecting.
        UseProxy = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ActivityHeadersPropagator = DistributedContextPropagator.CreateNoOutputPropagator(),
        ConnectCallback = ConnectForHttp2Async,
        SslOptions = _trust.Options,
        ConnectTimeout = ConnectLimit,
        EnableMultipleHttp2Connections = true,
        // Streams that wait on a connection that is dead learn it some day; see Http2Doubt for new requests. Servers take more than two pings
        // in five minutes for an attack when they have sent nothing meanwhile (gRPC's too_many_pings).
        KeepAlivePingDelay = TimeSpan.FromMinutes(6),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(30),
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        PlaintextStreamFilter = (context, _) => ValueTask.FromResult<Stream>(new Http2Doubt(context.PlaintextStream, trailers: Trailers.Watch())),
        InitialHttp2StreamWindowSize = 1024 * 1024,
#pragma warning disable CA2262 // KiB, as for HTTP/1.1.
        MaxResponseHeadersLength = ResponseHead.MaxBytes >> 10,
#pragma warning restore CA2262
        // Names move: a pooled connection is not kept beyond the usual DNS lifetimes.
        PooledConnectionLifetime = TimeSpan.FromMinutes(10),
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
        // Field values are opaque octets (RFC 9110, 5.5).
        RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
        ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
    };

    // Both protocols are offered, as clients do: many servers break the handshake off when they are offered none that they speak. A server that
    // chooses HTTP/1.1 has a connection for it already.
    private async ValueTask<Stream> ConnectForHttp2Async(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var target = new ConnectTarget(ConnectTarget.Normalize(context.DnsEndPoint.Host), context.DnsEndPoint.Port);
        var isCleartext = IsCleartext(context.InitialRequestMessage);
        var dialled = await _dialer.ConnectAsync(target, isCleartext ? Uri.UriSchemeHttp : Uri.UriSchemeHttps, cancellation);
        var transport = _traffic.Watch(target, dialled);
        if (isCleartext)
        {
            UpstreamRequests.FlowOf(context.InitialRequestMessage)?.Use(dialled.Times, isNew: true);
            return transport;
        }

        var started = TimeProvider.System.GetTimestamp();
        var tls = await _tls.SecureAsync(transport, target, Both, cancellation);
        var times = dialled.Times with { Tls = TimeProvider.System.GetElapsedTime(started) };
        UpstreamRequests.FlowOf(context.InitialRequestMessage)?.Use(times, isNew: true);
        if (_http2Addresses.Count >= MaxRemembered)
            _http2Addresses.Clear();
        _http2Addresses[target] = dialled.Address;
        if (tls.NegotiatedApplicationProtocol == SslApplicationProtocol.Http2)
            return tls;
        NoteHttp1(target);
        var spare = new Http1Connection(tls, transport, new Http1Origin(Uri.UriSchemeHttps, target)) { Times = times };
        _pool.Watch(spare);
        _pool.Done(spare, reusable: true);
        throw new Http1ChosenException();
    }
}

/// <summary>The server chose HTTP/1.1 in the TLS handshake, or without TLS was never seen to speak HTTP/2.</summary>
internal sealed class Http1ChosenException() : IOException("the server speaks HTTP/1.1");
