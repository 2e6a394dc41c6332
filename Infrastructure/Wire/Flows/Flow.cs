using System.Net;

namespace Discobot.Infrastructure.Wire.Flows;

/// <summary>What the cache did for a request.</summary>
internal enum FlowCache
{
    None,
    Hit,
    Miss,

    /// <summary>What was stored was sent, after its origin had been asked.</summary>
    Revalidated,

    /// <summary>What was stored was sent, although its origin could not be asked.</summary>
    Stale,
}

/// <summary>What was decided about a flow.</summary>
internal enum FlowVerdict
{
    Allowed,

    /// <summary>By the rules of what may leave.</summary>
    Blocked,

    /// <summary>For what it is itself: it cannot be read, names two hosts, or its client is not known.</summary>
    Refused,
}

/// <summary>
/// One request, tunnel, question for a name or refusal, and what is told of it when it is over. Written by whoever serves it, one at a time, until it is
/// over; observers see it then, and it does not change any more that matters. Holds no values of fields but those two of a trace, no bodies, no values of a query.
/// </summary>
internal sealed class Flow
{
    private readonly long _started = TimeProvider.System.GetTimestamp();
    private List<string>? _offered;

    /// <summary>Unique; what the client is told as X-Discobot-Request-Id, and log lines say.</summary>
    public required string Id { get; init; }

    public DateTimeOffset Time { get; } = DateTimeOffset.UtcNow;

    /// <summary>By which way it came: <c>http</c>, <c>connect</c>, <c>socks5</c>, <c>transparent</c> or <c>dns</c>.</summary>
    public required string Entry { get; init; }

    public FlowClient? Client { get; init; }

    /// <summary>Who that is, by the name and password that were asked for; null: none were.</summary>
    public string? ClientName { get; set; }

    /// <summary>Of a request; of a question for a name its type, such as AAAA.</summary>
    public string? Method { get; set; }

    public string? Scheme { get; set; }

    public string? Host { get; set; }

    /// <summary>0: none.</summary>
    public int Port { get; set; }

    /// <summary>As the client sent it. The query is in it: nobody shows it but through <see cref="QueryNames"/>.</summary>
    public string? PathAndQuery { private get; set; }

    /// <summary>Without the query.</summary>
    public string? Path => PathAndQuery is { } sent && sent.IndexOf('?', StringComparison.Ordinal) is var query and >= 0 ? sent[..query] : PathAndQuery;

    /// <summary>The names in the query, without their values; null where there is no query.</summary>
    public IReadOnlyList<string>? QueryNames => PathAndQuery is { } sent && sent.IndexOf('?', StringComparison.Ordinal) is var query and >= 0 ? NamesIn(sent[(query + 1)..]) : null;

    /// <summary>The client's <c>traceparent</c> (W3C Trace Context), where somebody wants it; it goes upstream untouched all the same.</summary>
    public string? TraceParent { get; set; }

    /// <summary>The <c>tracestate</c> beside it.</summary>
    public string? TraceState { get; set; }

    /// <summary><c>h1</c>, <c>h2</c>, <c>ws</c>, <c>grpc</c>, and <c>tcp</c>, <c>tls</c>, <c>udp</c> of what is not HTTP.</summary>
    public string? Protocol { get; set; }

    /// <summary>0: nothing was answered.</summary>
    public int Status { get; set; }

    /// <summary>Bytes of bodies, without heads and framing; of tunnels all bytes.</summary>
    public long RequestBytes { get; set; }

    public long ResponseBytes { get; set; }

    /// <summary>From its beginning to its end.</summary>
    public TimeSpan Duration { get; private set; }

    /// <summary>How long the name took; null where none was asked for, as on a connection that was there already.</summary>
    public TimeSpan? Dns { get; private set; }

    public TimeSpan? Connect { get; private set; }

    public TimeSpan? Tls { get; private set; }

    /// <summary>From the request on its way to the head of its answer.</summary>
    public TimeSpan? FirstByte { get; private set; }

    public IPAddress? UpstreamAddress { get; private set; }

    public FlowCache Cache { get; set; }

    public FlowVerdict Verdict { get; private set; }

    /// <summary>The rule that decided.</summary>
    public string? Rule { get; private set; }

    /// <summary>The names of the fields that rules added to what was sent.</summary>
    public IReadOnlyList<string>? Injected { get; private set; }

    /// <summary>What went wrong, in one word for programs or one sentence.</summary>
    public string? Error { get; set; }

    /// <summary>Whether it ended in an orderly way.</summary>
    public bool IsComplete { get; set; } = true;

    /// <summary>About how many bytes of memory it takes.</summary>
    public int Weight => 400 + 2 * ((PathAndQuery?.Length ?? 0) + (Host?.Length ?? 0) + (Method?.Length ?? 0) + (Rule?.Length ?? 0) + (Error?.Length ?? 0));

    public TimeSpan Elapsed => TimeProvider.System.GetElapsedTime(_started);

    /// <summary>The flow of a request; null outside the proxy's own pipeline.</summary>
    public static Flow? Of(HttpContext context) => context.Features.Get<Flow>();

    public void Decide(in EgressVerdict verdict) => (Verdict, Rule) = (verdict.Allowed ? FlowVerdict.Allowed : FlowVerdict.Blocked, verdict.Rule);

    /// <summary>The proxy itself answers, in place of whom was asked.</summary>
    public void Fail(ProxyError error)
    {
        Error = error.Code;
        if (error.Rule is { } rule)
            (Verdict, Rule) = (FlowVerdict.Blocked, rule);
    }

    public void Refuse(string reason) => (Verdict, Error) = (FlowVerdict.Refused, reason);

    /// <summary>Where it goes.</summary>
    public void LeadTo(ConnectTarget target) => (Host, Port) = (target.Host, target.Port);

    /// <summary>A rule adds a field to what is about to be sent, which counts once it is: see <see cref="Answered"/>.</summary>
    public void Offer(string name)
    {
        _offered ??= [];
        if (!_offered.Contains(name))
            _offered.Add(name);
    }

    /// <summary>It was sent: what rules had added went with it.</summary>
    public void Sent() => Injected ??= _offered;

    /// <summary>A connection was used for it.</summary>
    /// <param name="made">How it was made.</param>
    /// <param name="isNew">Whether it was made for this.</param>
    public void Use(in ConnectionTimes made, bool isNew)
    {
        UpstreamAddress = made.Address;
        if (isNew)
            (Dns, Connect, Tls) = (made.Dns ?? Dns, made.Connect ?? Connect, made.Tls ?? Tls);
    }

    /// <summary>The head of its answer is there.</summary>
    /// <param name="wait">Since it was sent.</param>
    public void Answered(TimeSpan wait) => FirstByte ??= wait;

    /// <summary>Ends it.</summary>
    public void End() => Duration = Elapsed;

    // Of a part without "=" nobody knows whether it is a name or a value.
    private static List<string> NamesIn(string query)
    {
        var names = new List<string>();
        foreach (var part in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
            names.Add(part.IndexOf('=', StringComparison.Ordinal) is var end and >= 0 ? part[..end] : "…");
        return names;
    }
}

/// <summary>How a connection to an upstream was made.</summary>
/// <param name="Address">That was dialled; null behind a parent proxy.</param>
/// <param name="Dns">For the name, where one was resolved.</param>
/// <param name="Connect">For TCP, and a parent's answer.</param>
/// <param name="Tls">For the handshake.</param>
internal readonly record struct ConnectionTimes(IPAddress? Address, TimeSpan? Dns = null, TimeSpan? Connect = null, TimeSpan? Tls = null);
