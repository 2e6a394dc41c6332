using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>What may be stored and how it is recognised: immutable, swapped whole on reload.</summary>
internal sealed class CacheRules(CacheOptions options)
{
    public CacheOptions Options { get; } = options;

    /// <summary>Says what the cache has to do with a GET or HEAD of this address; null when nothing.</summary>
    public CacheTarget? Classify(ProxiedRequest request)
    {
        if (!Options.Enabled)
            return null;
        var path = Unescaped(request.Path);
        var digest = ContentDigest.Find(path);
        var storable = Matches(path);
        var byDigest = Options.ContentAware && digest is { IsAddress: true };
        return storable || byDigest
            ? new CacheTarget(CacheKey.Of(request, path, digest), digest, storable, byDigest)
            : null;
    }

    private bool Matches(string path)
    {
        foreach (var pattern in Options.Patterns)
        {
            if (pattern.IsMatch(path))
                return true;
        }

        return false;
    }

    // Some clients escape the colon of a digest, which RFC 3986 (3.3) allows and does not ask for: one blob, one name.
    private static string Unescaped(string path) =>
        path.Contains("%3", StringComparison.Ordinal) ? path.Replace("%3A", ":", StringComparison.OrdinalIgnoreCase) : path;
}

/// <summary>One request as the cache sees it.</summary>
/// <param name="Key">Under which its answer is, or would be, stored.</param>
/// <param name="Digest">The digest the answer must have, if the address names one.</param>
/// <param name="Storable">Whether an answer may be stored; otherwise it may only be answered from what is there.</param>
/// <param name="ByDigest">Whether any entry with that digest answers it.</param>
internal sealed record CacheTarget(CacheKey Key, ContentDigest? Digest, bool Storable, bool ByDigest)
{
    public BodyKind Kind => Digest?.Kind ?? BodyKind.Blob;
}
