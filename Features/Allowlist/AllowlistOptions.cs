using System.Collections.Immutable;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist;

internal enum AllowlistMode
{
    /// <summary>What is not allowed is refused.</summary>
    Enforce,

    /// <summary>Everything passes; what would have been refused is recorded, for <c>discobot allowlist export</c>.</summary>
    Learn,
}

/// <summary>One entry of <c>domains</c>: a pattern alone, or <c>{host, methods, paths}</c>.</summary>
/// <param name="Host">Whom it allows.</param>
/// <param name="Methods">Upper case; empty allows every method.</param>
/// <param name="Paths">Globs such as <c>/api/**</c> (<c>*</c> within a segment, <c>**</c> across); empty allows every path.</param>
internal sealed record DomainRule(HostPattern Host, ImmutableArray<string> Methods, ImmutableArray<string> Paths)
{
    public static DomainRule? Read(ConfigNode node)
    {
        if (!node.IsMapping)
            return node.AsHostPattern() is { } pattern ? new DomainRule(pattern, [], []) : null;
        var host = node["host"];
        if (host.IsAbsent)
            host.Error($"is needed: {HostPattern.Allowed}");
        var rule = (Host: host.AsHostPattern(), Methods: ReadMethods(node["methods"]), Paths: node["paths"].AsStrings([], PathProblem));
        foreach (var key in (string[])["methods", "paths"])
        {
            if (node[key].IsList && !node[key].Items().Any())
                node[key].Error($"must not be empty; leave it out to allow all {key}");
        }

        return rule.Host is null ? null : new DomainRule(rule.Host, rule.Methods, rule.Paths);
    }

    private static ImmutableArray<string> ReadMethods(ConfigNode node) =>
        [.. node.AsStrings([], m => m.All(char.IsAsciiLetter) ? null : $"must be a method, as in GET, not {ConfigPath.Quote(m)}").Select(m => m.ToUpperInvariant())];

    private static string? PathProblem(string path) =>
        path[0] == '/' && !path.Any(c => char.IsControl(c) || c is '?' or '#')
            ? null : $"must be a path that begins with \"/\", without query, as in /api/**, not {ConfigPath.Quote(path)}";
}

/// <summary>The <c>allowlist</c> section. All of it is live.</summary>
internal sealed record AllowlistOptions
{
    /// <summary>False allows all; true without entries allows nothing.</summary>
    public bool Enabled { get; init; }

    public AllowlistMode Mode { get; init; } = AllowlistMode.Enforce;

    /// <summary>Names may resolve to private, loopback and link-local addresses.</summary>
    public bool AllowPrivate { get; init; }

    /// <summary>What names may be reached, in the file's order.</summary>
    public ImmutableArray<DomainRule> Domains { get; init; } = [];

    /// <summary>What address literals may be reached, and what private addresses names may resolve to.</summary>
    public ImmutableArray<IpRange> Ips { get; init; } = [];

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static AllowlistOptions Read(ConfigNode section, AllowlistOptions? fallback = null)
    {
        fallback ??= new AllowlistOptions();
        return new AllowlistOptions
        {
            Enabled = section["enabled"].AsBool(fallback.Enabled),
            Mode = section["mode"].AsWord(fallback.Mode, ("enforce", AllowlistMode.Enforce), ("learn", AllowlistMode.Learn)),
            AllowPrivate = section["allow_private"].AsBool(fallback.AllowPrivate),
            Domains = section["domains"].AsList(fallback.Domains, DomainRule.Read),
            Ips = section["ips"].AsRanges(fallback.Ips),
        };
    }
}
