using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Policy;

/// <summary>What may be stored and how it is recognised: immutable, swapped whole on reload.</summary>
internal sealed class CacheRules(CacheOptions options)
{
    private readonly CacheRule[] _rules = [.. options.Rules, .. PackageRules.Of(options.Packages)];
    private readonly CacheRule[] _patterns = [.. options.Patterns.Select(pattern => new CacheRule { Pattern = pattern, Mode = CacheMode.Immutable, IsPersonal = true })];

    public CacheOptions Options { get; } = options;

    /// <summary>Says what the cache has to do with a GET or HEAD of this address; null when nothing.</summary>
    public CacheTarget? Classify(ProxiedRequest request)
    {
        if (!Options.Enabled)
            return null;
        var path = Unescaped(request.Path);
        var digest = ContentDigest.Find(path);
        var named = digest is { IsAddress: true };
        if (PatternOf(path) is null && !(named && IsByDigest(request)))
            return null;
        var query = CountedQuery.Of(request.PathAndQuery.AsSpan(request.Path.Length), named);
        // A storage service keeps more than the blob under the blob's path: its tags, its permissions, the parts of its upload.
        if (named && query.Length > 0 && !path.StartsWith("/v2/", StringComparison.Ordinal))
            return null;
        var key = CacheKey.Of(CacheKey.OriginOf(request) + path + query);
        return new CacheTarget(key, digest)
        {
            Request = query.Length == 0 || !named ? request : null,
            OldestVersion = named ? 0 : EntryMetadata.CurrentVersion,
            Provable = Options.ContentAware && named && IsNamespaceAtMost(query),
        };
    }

    /// <summary>The rule that says how an address is kept whose content may change, or that names no digest; null when none does.</summary>
    /// <param name="request">The address.</param>
    /// <param name="fields">What the client says; null to find the rule of the address whoever asks.</param>
    public CacheRule? RuleOf(ProxiedRequest request, IHeaderDictionary? fields)
    {
        if (!Options.Enabled)
            return null;
        foreach (var rule in _rules)
        {
            if (rule.Matches(request, fields))
                return rule.Mode == CacheMode.Digest ? null : rule;
        }

        return null;
    }

    /// <summary>How an address that one of the patterns names is kept for those who say who they are: what they are answered is theirs, also where a rule
    /// names it too.</summary>
    public CacheRule? PersonalRuleOf(ProxiedRequest request, IHeaderDictionary fields) =>
        RuleOf(request, fields) is { } rule ? rule with { IsPersonal = true } : PatternOf(Unescaped(request.Path));

    /// <summary>The rule that most likely keeps a record, of which only the address is known: one that needs no word of the client goes first.</summary>
    /// <param name="request">The address.</param>
    /// <param name="isPrivate">Whether it is one credential's: then it may be a pattern's.</param>
    public CacheRule? RuleOfRecord(ProxiedRequest request, bool isPrivate)
    {
        foreach (var rule in _rules)
        {
            if (rule.Client is null && rule.Matches(request, null))
                return rule;
        }

        return (isPrivate && Options.Enabled ? PatternOf(Unescaped(request.Path)) : null) ?? RuleOf(request, null);
    }

    /// <summary>The key of an address, whether or not its answers are stored.</summary>
    public static CacheKey KeyOf(ProxiedRequest request)
    {
        var path = Unescaped(request.Path);
        var named = ContentDigest.Find(path) is { IsAddress: true };
        return CacheKey.Of(CacheKey.OriginOf(request) + path + CountedQuery.Of(request.PathAndQuery.AsSpan(request.Path.Length), named));
    }

    /// <summary>The key that versions up to 1.0 had for an address: they left the scheme out, and the query where the path names a digest.</summary>
    public static CacheKey FormerKeyOf(ProxiedRequest request)
    {
        var path = Unescaped(request.Path);
        return CacheKey.Of(ContentDigest.Find(path) is { IsAddress: true }
            ? request.Authority + path
            : string.Concat(request.Target.Port == 80 ? request.Target.ToString() : request.Authority, path, request.PathAndQuery.AsSpan(request.Path.Length)));
    }

    /// <summary>Whether a query says nothing, or which registry a mirror is asked for, as containerd does.</summary>
    public static bool IsNamespaceAtMost(ReadOnlySpan<char> query) => query.Length <= 1 || (query.StartsWith("?ns=", StringComparison.Ordinal) && !query.Contains('&'));

    private CacheRule? PatternOf(string path) => Array.Find(_patterns, rule => rule.Pattern.IsMatch(path));

    private bool IsByDigest(ProxiedRequest request)
    {
        foreach (var rule in Options.Rules)
        {
            if (rule.Matches(request, null))
                return rule.Mode == CacheMode.Digest;
        }

        return false;
    }

    // Some clients escape the colon of a digest, which RFC 3986 (3.3) allows and does not ask for: one blob, one name.
    private static string Unescaped(string path) =>
        path.Contains("%3", StringComparison.Ordinal) ? path.Replace("%3A", ":", StringComparison.OrdinalIgnoreCase) : path;
}

/// <summary>One request as the cache sees it.</summary>
/// <param name="Key">The record that answers it, and under which its answer is stored.</param>
/// <param name="Digest">The digest that the address names.</param>
internal sealed record CacheTarget(CacheKey Key, ContentDigest? Digest)
{
    /// <summary>The request, where an earlier version may have stored its answer: what it stored goes on serving.</summary>
    public ProxiedRequest? Request { get; init; }

    /// <summary>The key that such a version had for it. Computed anew each time: only who finds nothing asks.</summary>
    public CacheKey? Former => Request is { } request ? CacheRules.FormerKeyOf(request) : null;

    /// <summary>Of <see cref="EntryMetadata.Version"/>: what an earlier one stored does not answer, as nobody knows whose credential it was answered to.</summary>
    public int OldestVersion { get; init; }

    /// <summary>Whether a body of that digest may be sent for it once its origin has said that it is there.</summary>
    public bool Provable { get; init; }

    /// <summary>
    /// What a registry's redirect led here for: if this address's body has the digest named there, it is stored for the registry's address. It
    /// answers nothing here, and a body that is another is no error: anybody may redirect anywhere.
    /// </summary>
    public CacheTarget? Source { get; init; }

    /// <summary>Whether this very address is one that the rules store; otherwise only <see cref="Source"/> is.</summary>
    public bool Storable { get; init; } = true;

    /// <summary>The digest that makes a body storable.</summary>
    public Hash256? Expected => Digest is { IsAddress: true } own ? own.Hash : Source?.Digest?.Hash;

    public BodyKind Kind { get; init; } = Digest?.Kind ?? BodyKind.Blob;
}
