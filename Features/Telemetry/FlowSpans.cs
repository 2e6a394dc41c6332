using System.Diagnostics;
using System.Globalization;

namespace Discobot.Features.Telemetry;

/// <summary>One span per request, as a server's, in the words of OpenTelemetry's semantic conventions for HTTP; what they have no word for begins with <c>discobot.</c>.</summary>
internal sealed class FlowSpans : IDisposable
{
    public const string Source = "discobot";

    /// <summary>Characters of a path that a span tells.</summary>
    private const int LongestPath = 2048;

    private readonly ActivitySource _source = new(Source);

    /// <summary>Makes the span of a request that is over, unless the sampler leaves it out.</summary>
    public void Add(Flow flow)
    {
        _ = ActivityContext.TryParse(flow.TraceParent, flow.TraceState, isRemote: true, out var parent);
        Activity.Current = null;
        var method = HttpWords.Method(flow);
        using var span = _source.StartActivity(method == HttpWords.OtherMethod ? "HTTP" : method, ActivityKind.Server, parent, startTime: flow.Time);
        if (span is null)
            return;
        span.SetEndTime((flow.Time + flow.Duration).UtcDateTime);
        TellRequest(span, flow, method);
        TellAnswer(span, flow);
        TellOwn(span, flow);
    }

    public void Dispose() => _source.Dispose();

    private static void TellRequest(Activity span, Flow flow, string method)
    {
        span.SetTag("http.request.method", method);
        if (method == HttpWords.OtherMethod)
            span.SetTag("http.request.method_original", flow.Method);
        span.SetTag("url.scheme", flow.Scheme);
        span.SetTag("url.path", flow.Path is { Length: > LongestPath } path ? path[..LongestPath] : flow.Path);
        // Nobody keeps values of a query.
        if (flow.QueryNames is { } names)
            span.SetTag("url.query", string.Join('&', names.Select(name => $"{name}=REDACTED")));
        span.SetTag("server.address", flow.Host);
        span.SetTag("server.port", flow.Port);
        span.SetTag("http.request.body.size", flow.RequestBytes);
        if (HttpWords.Version(flow) is { } version)
            span.SetTag("network.protocol.version", version);
        if (flow.Client?.Address is { } client)
        {
            span.SetTag("client.address", client.Address.ToString());
            span.SetTag("client.port", client.Port);
        }

        if (flow.ClientName is { } name)
            span.SetTag("user.name", name);
    }

    private static void TellAnswer(Activity span, Flow flow)
    {
        if (flow.Status > 0)
            span.SetTag("http.response.status_code", flow.Status);
        span.SetTag("http.response.body.size", flow.ResponseBytes);
        if (HttpWords.ErrorType(flow) is { } error)
            span.SetTag("error.type", error);
        // What a client did wrong, or may not do, is no error of who serves it.
        if (flow.Status >= 500 || flow.Status == 0 || !flow.IsComplete)
            span.SetStatus(ActivityStatusCode.Error, flow.Error);
    }

    private static void TellOwn(Activity span, Flow flow)
    {
        span.SetTag("discobot.request_id", flow.Id);
        span.SetTag("discobot.entry", flow.Entry);
        span.SetTag("discobot.verdict", FlowWords.Of(flow.Verdict));
        if (flow.Rule is { } rule)
            span.SetTag("discobot.rule", rule);
        span.SetTag("discobot.cache", FlowWords.Of(flow.Cache));
        if (flow.UpstreamAddress is { } address)
            span.SetTag("discobot.upstream.address", address.ToString());
        if (flow.Client?.Program is { } program)
        {
            span.SetTag("discobot.client.uid", program.User.ToString(CultureInfo.InvariantCulture));
            if (program.Program.Length > 0)
                span.SetTag("discobot.client.program", program.Program);
        }
    }
}
