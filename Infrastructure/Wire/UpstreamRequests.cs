using Discobot.Infrastructure.Http1;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Discobot.Infrastructure.Wire;

/// <summary>Makes what goes upstream of a client's request: same method, same path bytes, end-to-end fields only, then the rewriters.</summary>
internal sealed class UpstreamRequests(IEnumerable<IRequestRewriter> rewriters)
{
    private static readonly HttpRequestOptionsKey<Flow> FlowKey = new("flow");
    private static readonly HttpRequestOptionsKey<ConnectionNews> NewsKey = new("connection");

    private readonly IRequestRewriter[] _rewriters = [.. rewriters];

    /// <summary>The fields, in their order where the client's HTTP has one. No Forwarded, X-Forwarded-* or Via is added.</summary>
    public FieldList Fields(HttpContext context)
    {
        var request = context.Request;
        var proxied = ProxiedRequest.Of(context);
        var fields = request.Headers is FieldList sent ? AsSent(sent, proxied, isAbsolute: context.Features.Get<IHttpRequestFeature>()?.RawTarget is [not ('/' or '*'), ..]) : HostFirst(request);
        foreach (var name in HopByHop.NamedBy(request.Headers.Connection))
        {
            if (!name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase) && !name.Equals(HeaderNames.Host, StringComparison.OrdinalIgnoreCase))
                fields.Remove(name);
        }

        foreach (var rewriter in _rewriters)
            rewriter.Rewrite(request, proxied.Scheme, proxied.Target.Host, fields);
        return fields;
    }

    // Line by line. Beside absolute-form the target counts, and is written into Host where that says something else (RFC 9112, 3.2.2).
    private static FieldList AsSent(FieldList sent, ProxiedRequest proxied, bool isAbsolute)
    {
        var fields = new FieldList();
        foreach (var (name, value) in sent.Lines)
        {
            if (name.Equals(HeaderNames.Host, StringComparison.OrdinalIgnoreCase))
                fields.Add(name, isAbsolute && !IsTarget(value, proxied) ? proxied.Authority : value);
            else if (!HopByHop.Contains(name))
                fields.Add(name, value);
        }

        if (!fields.Contains(HeaderNames.Host))
            fields.AddFirst(HeaderNames.Host, proxied.Authority);
        return fields;
    }

    private static bool IsTarget(string host, ProxiedRequest proxied) =>
        ConnectTarget.TryParse(host, proxied.Scheme == "https" ? 443 : 80, out var named) && named == proxied.Target;

    private static FieldList HostFirst(HttpRequest request)
    {
        var fields = new FieldList();
        fields.Add(HeaderNames.Host, request.Headers.Host.ToString());
        foreach (var (name, values) in request.Headers)
        {
            if (name[0] == ':' || HopByHop.Contains(name) || name.Equals(HeaderNames.Host, StringComparison.OrdinalIgnoreCase))
                continue;
            for (var i = 0; i < values.Count; i++)
                fields.Add(name, values[i] ?? "");
        }

        return fields;
    }

    /// <summary>The message of a request without a body (the cache's GETs).</summary>
    public HttpRequestMessage Create(HttpContext context) => Create(context, Fields(context));

    /// <summary>The same with <see cref="Fields"/> that are made already.</summary>
    public static HttpRequestMessage Create(HttpContext context, FieldList fields)
    {
        var message = new HttpRequestMessage(new HttpMethod(context.Request.Method), ProxiedRequest.Of(context).SentUri);
        foreach (var (name, value) in fields.Lines)
            message.Headers.TryAddWithoutValidation(name, value);
        SetFlow(message, context);
        return message;
    }

    /// <summary>For whom a message is sent; null: for nobody who wants to know.</summary>
    public static Flow? FlowOf(HttpRequestMessage message) => message.Options.TryGetValue(FlowKey, out var flow) ? flow : null;

    /// <summary>Who is to be told how a message gets its connection; null: nobody.</summary>
    public static ConnectionNews? NewsOf(HttpRequestMessage message) => message.Options.TryGetValue(NewsKey, out var news) ? news : null;

    /// <summary>Has somebody told how a message gets its connection. It is told before its answer is, if at all.</summary>
    public static void WatchConnecting(HttpRequestMessage message, ConnectionNews news) => message.Options.Set(NewsKey, news);

    public static void SetFlow(HttpRequestMessage message, HttpContext context)
    {
        if (Flow.Of(context) is { } flow)
            message.Options.Set(FlowKey, flow);
    }
}

/// <summary>How a message gets its connection.</summary>
/// <param name="Begun">One is tried: true for one that was kept, and that is given up soon if its peer is silently gone; false for one that is being made.</param>
/// <param name="Connected">There is one, TLS not yet begun; of one that was kept: its peer is there.</param>
internal sealed record ConnectionNews(Action<bool> Begun, Action Connected);
