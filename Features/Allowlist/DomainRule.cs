using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist;

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

    public void Write(Utf8JsonWriter json)
    {
        if (!IsRestricted)
        {
            json.WriteStringValue(Host.Text);
            return;
        }

        json.WriteStartObject();
        json.WriteString("host", Host.Text);
        if (!Methods.IsEmpty)
            json.WriteList("methods", Methods);
        if (!Paths.IsEmpty)
            json.WriteList("paths", Paths);
        json.WriteEndObject();
    }

    private static ImmutableArray<string> ReadMethods(ConfigNode node) =>
        [.. node.AsStrings([], MethodProblem).Select(m => m.ToUpperInvariant())];

    // Registered methods are letters and hyphens (IANA's registry knows VERSION-CONTROL).
    private static string? MethodProblem(string method) =>
        method.All(c => char.IsAsciiLetter(c) || c == '-') ? null : $"must be a method, as in GET, not {ConfigPath.Quote(method)}";

    private static string? PathProblem(string path) => PathGlob.TryParse(path, out _, out var problem) ? null : problem;
}
