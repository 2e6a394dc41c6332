using Prometheus;

namespace Discobot.Features.Interception;

/// <summary>How many requests there were, of what kind, and how long they took. Counting one allocates nothing.</summary>
internal sealed class RequestMetrics(IMetricFactory metrics)
{
    // Clients may invent methods; labels must not grow with them.
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "other"];
    private static readonly string[] Statuses = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"];

    // From a hit in memory to a download of a quarter of an hour.
    private static readonly double[] Seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

    private readonly Counter.Child?[] _children = new Counter.Child?[Methods.Length * Statuses.Length];
    private readonly Counter _requests = metrics.CreateCounter(
        "discobot_requests_total", "Requests by method and class of the answer's status; none: the client left before it; other: 600 and more.", ["method", "status"]);
    private readonly Histogram _duration = metrics.CreateHistogram(
        "discobot_request_duration_seconds", "Time from a request's head to the end of its answer.", new HistogramConfiguration { Buckets = Seconds });

    /// <param name="method">As the client sent it.</param>
    /// <param name="status">100 to 999, as servers invent some; 0 when nothing was answered.</param>
    /// <param name="duration">From the head of the request to the end of the answer.</param>
    public void Count(string method, int status, TimeSpan duration)
    {
        var known = Array.IndexOf(Methods, method);
        var row = known < 0 ? Methods.Length - 1 : known;
        var column = Math.Min(status / 100, Statuses.Length - 1);
        var child = _children[row * Statuses.Length + column] ??= _requests.WithLabels(Methods[row], Statuses[column]);
        child.Inc();
        _duration.Observe(duration.TotalSeconds);
    }
}
