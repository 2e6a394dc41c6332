using System.Collections.Immutable;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist;

internal enum AllowlistMode
{
    /// <summary>What is not allowed is refused.</summary>
    Enforce,

    /// <summary>Everything passes and is recorded, for <c>discobot allowlist export</c>, whether enabled or not.</summary>
    Learn,
}

/// <summary>One entry of <c>domains</c>: a pattern alone, or <c>{host, methods, paths}</c>.</summary>
/// <param name="Host">Whom it allows.</param>
/// <param name="Methods">Upper case; empty allows every method.</param>
/// <param name="Paths">Globs such as <c>/api/**</c> (<c>*</c> within a segment, <c>**</c> across); empty allows every path.</param>
internal sealed record DomainRule(HostPattern Host, ImmutableArray<string> Methods, ImmutableArray<string> Paths)
{
    /// <summary>Whether it speaks of methods or paths, which nobody sees in a tunnel that is not intercepted.</summary>
    public bool IsRestricted => Methods.Length + Paths.Length > 0;

    /// <summary>The entry as it stands in the file.</summary>
    public override string ToString()
    {
        var methods = Methods.IsEmpty ? "" : $", methods: [{string.Join(", ", Methods)}]";
        var paths = Paths.IsEmpty ? "" : $", paths: [{string.Join(", ", Paths.Select(p => $"\"{p}\""))}]";
        return IsRestricted ? $"{{host: \"{Host}\"{methods}{paths}}}" : $"\"{Host}\"";
    }

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
        [.. node.AsStrings([], MethodProblem).Select(m => m.ToUpperInvariant())];

    // Registered methods are letters and hyphens (IANA's registry knows VERSION-CONTROL).
    private static string? MethodProblem(string method) =>
        method.All(c => char.IsAsciiLetter(c) || c == '-') ? null : $"must be a method, as in GET, not {ConfigPath.Quote(method)}";

    private static string? PathProblem(string path) => PathGlob.TryParse(path, out _, out var problem) ? null : problem;
}

/// <summary>The <c>allowlist</c> section. All of it is live.</summary>
internal sealed record AllowlistOptions
{
    /// <summary>False allows all; true without entries allows nothing.</summary>
    public bool Enabled { get; init; }

    public AllowlistMode Mode { get; init; } = AllowlistMode.Enforce;

    /// <summary>Names may resolve to private, loopback and link-local addresses; metadata services still need an entry in
    /// <see cref="Ips"/>.</summary>
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
