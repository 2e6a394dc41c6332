using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Cache.Bodies;

public sealed class BodyTiersTests
{
    private static readonly Hash256 Digest = Hash256.Of("a");

    [Fact]
    public async Task A_tier_that_fails_in_a_way_nobody_thought_of_has_not_got_the_body()
    {
        var tiers = new BodyTiers([new Tier(() => throw new NotSupportedException()), new Tier(() => throw new OperationCanceledException()), new Tier(() => "body")], NullLogger<BodyTiers>.Instance);
        using var body = await tiers.OpenAsync(Digest, nearest: false, CancellationToken.None);
        Assert.Equal(4, body?.Length);
    }

    [Fact]
    public async Task Whoever_has_gone_is_told_so()
    {
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();
        var tiers = new BodyTiers([new Tier(() => throw new OperationCanceledException())], NullLogger<BodyTiers>.Instance);
        await Assert.ThrowsAsync<OperationCanceledException>(() => tiers.OpenAsync(Digest, nearest: false, gone.Token).AsTask());
    }

    private sealed class Tier(Func<string> body) : IBodyTier
    {
        public async ValueTask<TierBody?> OpenAsync(Hash256 digest, CancellationToken cancel)
        {
            await Task.Yield();
            var text = body();
            return new TierBody(Stream.Null, text.Length, this);
        }

        public void Offer(Hash256 digest, string path, long length, bool fromNear)
        {
        }
    }
}
