using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// That an index of gems is there, as it said to HEAD: gem asks that before it reads an index, and takes the want of an answer for a registry of another
/// kind, of whose documents it has read none before. Such an answer stands in while its registry is away, and answers nothing but HEAD.
/// </summary>
internal sealed class HeadAnswers(CacheStore store, Fills fills, TimeProvider time)
{
    /// <summary>Whether what is answered to the request is kept.</summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="rule">Which names it.</param>
    public static bool AreKept(HttpRequest request, CacheRule rule) => rule.KeepsHead && Methods.IsHead(request.Method);

    /// <summary>Opens what was answered; the caller releases it.</summary>
    /// <param name="address">As of <see cref="Variants.AddressOf"/>.</param>
    /// <param name="cancel">Ends it.</param>
    public async ValueTask<StoredBody?> FindAsync(string address, CancellationToken cancel)
    {
        await store.ListedAsync(cancel);
        return await store.FindAsync(new CacheTarget(KeyOf(address), null), cancel);
    }

    /// <summary>Keeps an answer, or ends what is kept once nothing is there.</summary>
    /// <param name="address">Where it is kept.</param>
    /// <param name="response">The answer.</param>
    /// <param name="isKnown">Whether one is kept.</param>
    /// <param name="asked">When it was asked for.</param>
    public void Keep(string address, HttpResponseMessage response, bool isKnown, Moment asked)
    {
        var mayBeKept = (int)response.StatusCode == 200 && !StorableAnswer.Forbids(response, "no-store") && !StorableAnswer.Forbids(response, "private");
        if (isKnown && (mayBeKept || (int)response.StatusCode >= 500))
            return;
        if (mayBeKept)
            Add(address, response, asked);
        else if (isKnown)
            store.Invalidate(KeyOf(address));
    }

    private static CacheKey KeyOf(string address) => CacheKey.Of(address + "head");

    private void Add(string address, HttpResponseMessage response, Moment asked)
    {
        try
        {
            var body = store.Add(store.CreateTemporary(), new EntryMetadata
            {
                Key = KeyOf(address).Text,
                Size = 0,
                Digest = Hash256.Of(""),
                StoredAt = time.GetUtcNow().ToUnixTimeMilliseconds(),
                Kind = BodyKind.Blob,
                Status = 200,
                // Of the document, which is not here: its length would be taken for that of this record.
                Headers = [.. EndToEnd.Storable(EndToEnd.Headers(response), cookies: false).Where(h => !h.Key.StartsWith("Content-", StringComparison.OrdinalIgnoreCase))],
            });
            // A request that changed what is there may have passed since it was asked for.
            if (fills.HasChanged(CacheKey.Of(address).Hash, asked.Mark))
                store.Evict(body.Entry);
            body.Release();
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // A full disk: then it is not kept.
        }
    }
}
