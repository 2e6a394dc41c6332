using Prometheus;

namespace Discobot.Features.Interception.Entries;

/// <summary>Connections that clients made to the proxy port, by the protocol of their first bytes.</summary>
internal sealed class ConnectionMetrics
{
    private readonly Counter _accepted;
    private readonly Gauge _open;

    public ConnectionMetrics(IMetricFactory metrics)
    {
        _accepted = metrics.CreateCounter(
            "discobot_connections_total", "Client connections by protocol; refused: none that is spoken here, or silence.", ["protocol"]);
        _open = metrics.CreateGauge("discobot_connections_open", "Client connections that are open now.", ["protocol"]);
        // A counter that is missing until its first event hides that event from rates.
        foreach (var protocol in (string[])["http", "connect", "socks5"])
            (_, _) = (_accepted.WithLabels(protocol), _open.WithLabels(protocol));
        _accepted.WithLabels("refused");
    }

    /// <summary>Counts a connection, as open until disposed.</summary>
    /// <param name="protocol"><c>http</c>, <c>connect</c> or <c>socks5</c>.</param>
    public IDisposable Begin(string protocol)
    {
        _accepted.WithLabels(protocol).Inc();
        return _open.WithLabels(protocol).TrackInProgress();
    }

    public void Refused() => _accepted.WithLabels("refused").Inc();
}
