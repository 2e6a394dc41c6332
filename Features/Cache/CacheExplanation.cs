namespace Discobot.Features.Cache;

/// <summary>What the cache would do with a request.</summary>
/// <param name="State"><c>hit</c>, <c>miss</c>, <c>revalidate</c>: stored, and its host is asked whether it still holds, or <c>bypass</c>: the cache
/// has nothing to do with it.</param>
/// <param name="Key">The address under which the answer is, or would be, stored.</param>
/// <param name="Stored">The record that answers, or that its host has to confirm.</param>
/// <param name="Reason">Why, or what happens to the answer; null where a record answers for ever.</param>
internal sealed record CacheExplanation(string State, string? Key, StoredExplanation? Stored, string? Reason)
{
    public static CacheExplanation Bypass(string reason) => new("bypass", null, null, reason);

    /// <param name="target">What is asked for.</param>
    /// <param name="stores">Whether the answer to this method is stored.</param>
    /// <param name="isHere">Whether the body is here under another address.</param>
    /// <param name="shared">The directory that is looked into first; null where there is none, or what is asked for cannot be there.</param>
    /// <param name="isAsked">Whether a remote store is asked for it then.</param>
    public static CacheExplanation Miss(CacheTarget target, bool stores, bool isHere, string? shared = null, bool isAsked = false) => new("miss", target.Key.Text, null,
        !stores ? "only the answer to a GET is stored"
        : isHere ? "a body with this digest is here; it is sent once the host has said that it has it too"
        : shared is not null ? $"{shared} is looked into first; what is there is sent once the host has said that it has it too, else the answer is stored if it is a complete 200 that may be"
        : isAsked ? "the remote store (cache.remote) is asked for a body with this digest, which is sent once the host has said that it has it too; else the host's answer is stored if it is a complete 200 that may be"
        : "the answer is stored if it is a complete 200 that may be");

    public static CacheExplanation Hit(CacheTarget target, CacheEntry entry) => new("hit", target.Key.Text, StoredExplanation.Of(entry), null);
}

/// <param name="File">The body's file in <c>cache.dir</c>.</param>
/// <param name="Host">The host it came from.</param>
/// <param name="Digest">Of the body.</param>
/// <param name="Size">Bytes.</param>
/// <param name="StoredAt">When it was stored, or last confirmed.</param>
internal sealed record StoredExplanation(string File, string Host, string Digest, long Size, DateTimeOffset StoredAt)
{
    /// <summary>Seconds since its host made or confirmed it; null for what never changes.</summary>
    public long? Age { get; init; }

    /// <summary>Seconds for which it answers unasked, negative since then; null for what never changes.</summary>
    public long? Ttl { get; init; }

    /// <summary>The request's fields that have to be as they were when it was stored; null where none count.</summary>
    public string? Vary { get; init; }

    public static StoredExplanation Of(CacheEntry entry) =>
        new(entry.Key.ToString(), entry.Origin, $"sha256:{entry.Digest}", entry.Size, DateTimeOffset.FromUnixTimeMilliseconds(entry.StoredAt));
}
