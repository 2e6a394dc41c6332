using Discobot.Infrastructure.Http1;

namespace Discobot.Features.Interception.Entries;

/// <summary>How long clients may take; infinite is no limit.</summary>
/// <param name="Head">To send the head of a request.</param>
/// <param name="Write">To take some of the answer while there is more. HTTP/2 is left out: there one stream that is not read would end all the others.</param>
internal sealed record ClientLimits(TimeSpan Head, TimeSpan Write)
{
    private static readonly TimeSpan LongestHandshake = TimeSpan.FromSeconds(10);

    /// <summary>To send the first message of TLS, and then to end the handshake.</summary>
    public TimeSpan Handshake => Head == Timeout.InfiniteTimeSpan || Head > LongestHandshake ? LongestHandshake : Head;

    /// <summary>Begins to count the time for a head, from its first byte: further bytes do not buy more.</summary>
    public HeadDeadline BeginHead() => new(Head);

    /// <summary>The same for HTTP/1.1.</summary>
    public ClientTimes Times => new((int)Head.TotalMilliseconds, (int)Write.TotalMilliseconds, (int)TimeSpan.FromMinutes(2).TotalMilliseconds);
}

/// <summary>When the head of a request, or whatever a client begins with, has to be there.</summary>
/// <param name="limit">From now; may be infinite.</param>
internal readonly struct HeadDeadline(TimeSpan limit)
{
    private readonly long _started = TimeProvider.System.GetTimestamp();

    /// <summary>What is left of it: never negative, perhaps infinite.</summary>
    public TimeSpan Remaining
    {
        get
        {
            var left = limit - TimeProvider.System.GetElapsedTime(_started);
            return limit == Timeout.InfiniteTimeSpan ? limit : left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }
}
