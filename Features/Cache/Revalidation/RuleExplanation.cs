using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>What the cache would do with an address whose content may change. Looks at what is stored without marking it as used.</summary>
internal sealed class RuleExplanation(CacheStore store, IndexHashes hashes, TimeProvider time)
{
    private const int MostLookedAt = 4096;

    /// <param name="request">The address; what fields its client sends is not known.</param>
    /// <param name="rule">The rule that names it.</param>
    /// <param name="isForAll">Whether the rule counts whatever the client says.</param>
    /// <param name="stores">Whether the answer would be stored: a GET's.</param>
    public CacheExplanation Explain(ProxiedRequest request, CacheRule rule, bool isForAll, bool stores)
    {
        var address = Variants.AddressOf(request, rule);
        var (key, which) = (address.TrimEnd('#'), Which(rule, isForAll));
        if (Find(CacheKey.OriginOf(request), address) is not var (entry, record))
            return !isForAll ? CacheExplanation.Bypass(which) : new("miss", key, null, stores ? $"{which}; the answer is stored where its host allows it" : $"{which}; only the answer to a GET is stored");
        var freshness = Freshness.Of(record, rule, time.GetUtcNow());
        var stored = StoredExplanation.Of(entry) with { Age = freshness.Age, Ttl = freshness.Lifetime - freshness.Age, Vary = RecordKey.Of(record.Key).Vary };
        if (hashes.Find(rule, request) is { } integrity && !hashes.IsMetBy(store, entry, record, integrity))
            return new("miss", key, stored, $"{which}; what is stored is not what its index names ({integrity}), and its host is asked for the whole of it");
        var isAsked = CacheControl.Of(record).Has("no-cache");
        return freshness.IsFresh && !isAsked
            ? new("hit", key, stored, $"{which}; it answers for another {freshness.Lifetime - freshness.Age} s, then its host is asked")
            : new("revalidate", key, stored, $"{which}; its host is asked whether it still holds" + (isAsked ? ", as it wants to be each time" : ""));
    }

    private static string Which(CacheRule rule, bool isForAll) =>
        rule.Ecosystem is not { } ecosystem ? $"cache.rules, pattern {rule.Pattern}"
        : isForAll ? $"an address of a package registry ({ecosystem})"
        : $"an address of a package registry ({ecosystem}) for its own clients, told by Accept or User-Agent; it is forwarded for others";

    // The newest record that answers some client. What was answered to a credential is that one's alone, and has another key.
    private (CacheEntry Entry, EntryMetadata Record)? Find(string origin, string address)
    {
        var (plain, names) = Variants.KeysOf(address);
        var epoch = store.Index.Get(names.Hash) is { } marker ? store.Describe(marker)?.Header(Variants.Epoch) : null;
        // Which of several answers there are only a look at all tells.
        if (epoch is null)
            return store.Index.Get(plain.Hash) is { } only && store.Describe(only) is { } own ? (only, own) : null;
        foreach (var entry in store.Index.ToArray().Where(e => e.Origin == origin).OrderByDescending(e => e.StoredAt).Take(MostLookedAt))
        {
            if (store.Describe(entry) is { } record && (record.Key == address || record.Key.StartsWith($"{address}vary={epoch}:", StringComparison.Ordinal)))
                return (entry, record);
        }

        return null;
    }
}
