using Discobot.Features.Cache.Revalidation;

namespace Discobot.Features.Cache;

/// <summary>What the cache would do with a request.</summary>
/// <param name="State"><c>hit</c>, <c>miss</c>, <c>revalidate</c>: kept as its host allows, or <c>bypass</c>: the cache has nothing to do with it.</param>
/// <param name="Key">The address under which the answer is, or would be, stored.</param>
/// <param name="Stored">For a hit: the record that answers.</param>
/// <param name="Reason">For the others: why, or what happens to the answer.</param>
internal sealed record CacheExplanation(string State, string? Key, StoredExplanation? Stored, string? Reason)
{
    public static CacheExplanation Bypass(string reason) => new("bypass", null, null, reason);

    public static CacheExplanation Miss(CacheTarget target, bool stores, bool isHere) => new("miss", target.Key.Text, null,
        !stores ? "only the answer to a GET is stored"
        : isHere ? "a body with this digest is here; it is sent once the host has said that it has it too"
        : "the answer is stored if it is a complete 200 that may be");

    /// <summary>Of what may change: the client's fields, and so Vary, are not known here.</summary>
    public static CacheExplanation ByRule(string key, CacheRule rule) => new("revalidate", key, null,
        (rule.Ecosystem is { } ecosystem ? $"an address of a package registry ({ecosystem})" : $"cache.rules, pattern {rule.Pattern}")
        + (rule.Mode == CacheMode.Immutable ? ": fresh for a day at least, then its host is asked whether it still holds"
            : ": a fresh record answers, a stale one once its host has confirmed it"));

    public static CacheExplanation Hit(CacheTarget target, CacheEntry entry) => new("hit", target.Key.Text, new StoredExplanation(
        entry.Key.ToString(), entry.Origin, $"sha256:{entry.Digest}", entry.Size, DateTimeOffset.FromUnixTimeMilliseconds(entry.StoredAt)), null);
}

/// <param name="File">The body's file in <c>cache.dir</c>.</param>
/// <param name="Host">The host it came from.</param>
/// <param name="Digest">Of the body.</param>
/// <param name="Size">Bytes.</param>
/// <param name="StoredAt">When it was stored.</param>
internal sealed record StoredExplanation(string File, string Host, string Digest, long Size, DateTimeOffset StoredAt);
