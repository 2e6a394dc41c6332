namespace Discobot.Features.Cache.Bodies;

/// <summary>All tiers, as one; without any, nothing.</summary>
internal sealed class BodyTiers(IEnumerable<IBodyTier> tiers)
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
            if (await tier.OpenAsync(digest, cancel) is { } body)
                return body;
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
}
