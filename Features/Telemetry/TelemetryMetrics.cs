using System.Diagnostics;
using System.Diagnostics.Metrics;
using Discobot.Infrastructure;

namespace Discobot.Features.Telemetry;

/// <summary>What features count for themselves, and the metrics of an HTTP server by the semantic conventions, with what was decided and what the cache did. Hosts are not in them: clients choose how many there are.</summary>
internal sealed class TelemetryMetrics : IDisposable
{
    public const string Meter = "discobot";

    /// <summary>In seconds, as the conventions advise.</summary>
    private static readonly InstrumentAdvice<double> Seconds = new() { HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] };

    private static readonly InstrumentAdvice<long> Bytes = new() { HistogramBucketBoundaries = [0, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 16 << 20, 256 << 20, 1L << 30] };

    private readonly Meter _meter;
    private readonly Histogram<double> _duration;
    private readonly Histogram<long> _requestBody;
    private readonly Histogram<long> _responseBody;

    public TelemetryMetrics(IEnumerable<ObservedCount> observed)
    {
        _meter = new Meter(Meter);
        _duration = _meter.CreateHistogram("http.server.request.duration", "s", "Duration of requests.", advice: Seconds);
        _requestBody = _meter.CreateHistogram("http.server.request.body.size", "By", "Bytes of the bodies of requests.", advice: Bytes);
        _responseBody = _meter.CreateHistogram("http.server.response.body.size", "By", "Bytes of the bodies of answers.", advice: Bytes);
        foreach (var count in observed)
        {
            if (count.Grows)
                _meter.CreateObservableCounter(count.Name, count.Read, count.Unit, count.Description);
            else
                _meter.CreateObservableUpDownCounter(count.Name, count.Read, count.Unit, count.Description);
        }
    }

    /// <summary>Counts a request that is over.</summary>
    public void Add(Flow flow)
    {
        var tags = new TagList
        {
            { "http.request.method", HttpWords.Method(flow) },
            { "url.scheme", flow.Scheme },
            { "discobot.verdict", FlowWords.Of(flow.Verdict) },
            { "discobot.cache", FlowWords.Of(flow.Cache) },
        };
        if (flow.Status > 0)
            tags.Add("http.response.status_code", flow.Status);
        if (HttpWords.Version(flow) is { } version)
            tags.Add("network.protocol.version", version);
        if (HttpWords.ErrorType(flow) is { } error)
            tags.Add("error.type", error);
        _duration.Record(flow.Duration.TotalSeconds, tags);
        _requestBody.Record(flow.RequestBytes, tags);
        _responseBody.Record(flow.ResponseBytes, tags);
    }

    public void Dispose() => _meter.Dispose();
}
