using Prometheus;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>What goes over the connections to upstreams, TLS included: requests, tunnels and SOCKS5 alike. UDP is not in it.</summary>
internal sealed class UpstreamBytes(IMetricFactory metrics)
{
    private readonly Counter _sent = metrics.CreateCounter("discobot_upstream_sent_bytes_total", "Bytes sent to upstreams, TLS included.");
    private readonly Counter _received = metrics.CreateCounter("discobot_upstream_received_bytes_total", "Bytes received from upstreams, TLS included.");

    public void Sent(int count) => _sent.Inc(count);

    public void Received(int count) => _received.Inc(count);
}
