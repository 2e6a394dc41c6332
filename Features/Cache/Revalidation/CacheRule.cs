using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>How what a rule names is kept.</summary>
internal enum CacheMode
{
    /// <summary>By the digest in the path, for ever.</summary>
    Digest,

    /// <summary>What the address names never changes: fresh for a day at least, unless the origin forbids that (also by <c>must-revalidate</c>).</summary>
    Immutable,

    /// <summary>As the origin says (RFC 9111).</summary>
    Revalidate,
}

/// <summary>One rule of <c>cache.rules</c>, or one that recognises the addresses of a package registry.</summary>
internal sealed record CacheRule
{
    private const int MaxRules = 64;
    private const long Day = 24 * 60 * 60;

    public required CacheMode Mode { get; init; }

    /// <summary>Null for any host.</summary>
    public HostPattern? Host { get; init; }

    /// <summary>Of the path without the query. A configuration's are matched without backtracking.</summary>
    public required Regex Pattern { get; init; }

    /// <summary>What the path has to be like beside that; null for any.</summary>
    public Func<string, bool>? Path { get; init; }

    /// <summary>Used instead of what the origin says. Null leaves that to the origin.</summary>
    public TimeSpan? MaxAge { get; init; }

    /// <summary>Query parameters that select nothing.</summary>
    public ImmutableArray<string> IgnoreQuery { get; init; } = [];

    /// <summary>Whether an origin that says nothing of a lifetime lets us guess one.</summary>
    public bool MayGuess { get; init; } = true;

    /// <summary>The package registry whose addresses it recognises; null for a rule of the configuration.</summary>
    public string? Ecosystem { get; init; }

    /// <summary>Whether the operator left all that is kept of these addresses to their origin: <c>cache.rules</c> with <c>mode: revalidate</c>.</summary>
    public bool IsTheOrigins => Ecosystem is null && !IsPersonal && Mode == CacheMode.Revalidate && MaxAge is null;

    /// <summary>Whether any field that may be a credential counts as one: servers of <c>cache.patterns</c> may take it under any name.</summary>
    public bool IsPersonal { get; init; }

    /// <summary>Whether what it names is one of several documents that name each other's digests.</summary>
    public bool IsOneOfSet { get; init; }

    /// <summary>Whether what is answered to HEAD stands in for a registry that is away (<see cref="HeadAnswers"/>).</summary>
    public bool KeepsHead { get; init; }

    /// <summary>Whether it is of an address to which a package registry has sent its client, and of no other.</summary>
    public bool IsRedirected { get; init; }

    /// <summary>Whether that was while the registry was away: what signed the address is kept nowhere, and its host would refuse it.</summary>
    public bool HasLostSignature { get; init; }

    /// <summary>What a client has to say for the rule to count, where the path alone does not tell.</summary>
    public Func<IHeaderDictionary, bool>? Client { get; init; }

    /// <param name="request">The address.</param>
    /// <param name="fields">What the client says; null to leave that out of it.</param>
    public bool Matches(ProxiedRequest request, IHeaderDictionary? fields) =>
        (Host is null || (CanonicalHost.TryParse(request.Target.Host, out var host) && Host.Matches(host)))
        && (Ecosystem is null || request.Path.Length <= PackageRules.MaxPath) && Pattern.IsMatch(request.Path) && Path?.Invoke(request.Path) != false && (fields is null || Client?.Invoke(fields) != false);

    /// <summary>Seconds that an answer may be used, of those that its origin gives it.</summary>
    /// <param name="fromOrigin">What it said.</param>
    /// <param name="strict">Whether it wants to be asked once that is over.</param>
    public long Lifetime(long fromOrigin, bool strict) =>
        MaxAge is { } own ? (long)own.TotalSeconds
        : Mode == CacheMode.Immutable && !strict ? Math.Max(fromOrigin, Day)
        : fromOrigin;

    /// <summary>What counts of a query.</summary>
    public string Query(ReadOnlySpan<char> query) =>
        IgnoreQuery.IsEmpty || query.Length <= 1 ? query.ToString() : Kept(query[1..].ToString());

    public static ImmutableArray<CacheRule> ReadAll(ConfigNode node, ImmutableArray<CacheRule> fallback)
    {
        if (!node.IsList || node.Items().Count() <= MaxRules)
            return node.AsList(fallback, Read);
        node.Error($"must not be more than {MaxRules} rules");
        return fallback;
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (Host is not null)
            json.WriteString("host", Host.ToString());
        json.WriteString("pattern", Pattern.ToString());
        json.WriteString("mode", Mode switch { CacheMode.Digest => "digest", CacheMode.Immutable => "immutable", _ => "revalidate" });
        if (MaxAge is { } age)
            json.WriteString("max_age", $"{(long)age.TotalSeconds}s");
        if (!IgnoreQuery.IsEmpty)
            json.WriteList("ignore_query", IgnoreQuery);
        json.WriteEndObject();
    }

    private static CacheRule? Read(ConfigNode node)
    {
        var pattern = node.Needed("pattern", "must be given: an expression that the path matches, such as ^/pool/.*\\.deb$").AsRegex([]);
        var mode = node["mode"].AsWord(CacheMode.Revalidate, ("digest", CacheMode.Digest), ("immutable", CacheMode.Immutable), ("revalidate", CacheMode.Revalidate));
        var age = node["max_age"].IsAbsent ? (TimeSpan?)null : node["max_age"].AsDuration(TimeSpan.Zero, TimeSpan.Zero);
        var host = node["host"].IsAbsent ? null : node["host"].AsHostPattern();
        var ignored = node["ignore_query"].AsStrings([]);
        return pattern is null ? null : new CacheRule { Host = host, Pattern = pattern, Mode = mode, MaxAge = age, IgnoreQuery = ignored };
    }

    private string Kept(string query)
    {
        var kept = query.Split('&').Where(p => !IgnoreQuery.Contains(p.Split('=')[0], StringComparer.Ordinal));
        return string.Join('&', kept) is { Length: > 0 } rest ? "?" + rest : "";
    }
}
