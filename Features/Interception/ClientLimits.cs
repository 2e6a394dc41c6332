using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Discobot.Features.Interception;

/// <summary>How long clients may take; infinite is no limit.</summary>
/// <param name="Head">To send the head of a request.</param>
/// <param name="Write">To take some of the answer while there is more.</param>
internal sealed record ClientLimits(TimeSpan Head, TimeSpan Write)
{
    /// <summary>Bytes a second: so many that only the grace period counts for what fits into the server's buffers.</summary>
    private const double Unhurried = 1 << 20;

    /// <summary>The least that the server accepts, whose clock ticks once a second.</summary>
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(1.1);

    private readonly MinDataRate? _rate =
        Write == Timeout.InfiniteTimeSpan ? null : new MinDataRate(Unhurried, Write > Least ? Write : Least);

    /// <summary>Begins to count the time for a head, from its first byte: further bytes do not buy more.</summary>
    public HeadDeadline BeginHead() => new(Head);

    /// <summary>Limits the answer to this request. HTTP/2 is left out: there one stream that is not read would end all the others.</summary>
    public void ApplyTo(HttpContext context)
    {
        if (_rate is not null && HttpProtocol.IsHttp11(context.Request.Protocol)
            && context.Features.Get<IHttpMinResponseDataRateFeature>() is { } feature)
            feature.MinDataRate = _rate;
    }
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
