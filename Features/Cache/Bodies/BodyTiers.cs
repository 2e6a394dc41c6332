namespace Discobot.Features.Cache.Bodies;

/// <summary>All tiers, as one; without any, nothing.</summary>
internal sealed partial class BodyTiers(IEnumerable<IBodyTier> tiers, ILogger<BodyTiers> log)
{
    private readonly IBodyTier[] _tiers = [.. tiers];

    public bool Any => _tiers.Length > 0;

    /// <summary>The body from the first tier that has it.</summary>
    /// <param name="digest">Of the body.</param>
    /// <param name="nearest">Whether those on this machine are asked, or the others.</param>
    /// <param name="cancel">Nobody waits for it any more.</param>
    public async ValueTask<TierBody?> OpenAsync(Hash256 digest, bool nearest, CancellationToken cancel)
    {
        foreach (var tier in _tiers.Where(tier => tier.IsNear == nearest))
        {
            try
            {
                if (await tier.OpenAsync(digest, cancel) is { } body)
                    return body;
            }
            catch (Exception e) when (!cancel.IsCancellationRequested)
            {
                // A tier that breaks its word costs nobody an answer: it has not got the body.
                LogFailed(tier.GetType().Name, e);
            }
        }

        return null;
    }

    /// <param name="digest">Of the body.</param>
    /// <param name="path">Its file.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="except">Where it came from.</param>
    public void Offer(Hash256 digest, string path, long length, IBodyTier? except)
    {
        foreach (var tier in _tiers.Where(tier => tier != except))
            tier.Offer(digest, path, length, except is { IsNear: true });
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "cache tier failed in a way that is not foreseen {Tier}")]
    private partial void LogFailed(string tier, Exception error);
}
