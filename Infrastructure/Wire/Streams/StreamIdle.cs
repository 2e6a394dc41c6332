namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>How long what stays open may carry nothing in either direction before it is ended: tunnels, WebSockets, streams of events.</summary>
/// <param name="Limit">Infinite: for ever (the default), as without a proxy. Peers that are gone are found by TCP's keep-alive.</param>
/// <param name="Time">What it is measured by; null: the machine's.</param>
internal sealed record StreamIdle(TimeSpan Limit, TimeProvider? Time = null)
{
    public static StreamIdle Unlimited { get; } = new(Timeout.InfiniteTimeSpan);

    public bool IsLimited => Limit != Timeout.InfiniteTimeSpan;
}
