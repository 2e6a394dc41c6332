using System.Collections.Immutable;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Headers;

/// <summary>A header to set or append. The value is masked wherever it is shown.</summary>
internal sealed record HeaderValue(string Name, SecretText Value);

/// <summary>A header the client's own request must carry with exactly this value. Masked too: it may be a token.</summary>
internal sealed record HeaderCondition(string Header, SecretText EqualTo);

/// <summary>What is done to requests for the hosts of one pattern.</summary>
/// <param name="Host">The key, as in <c>"*.example.com"</c>.</param>
/// <param name="Set">Replaces what the client sent.</param>
/// <param name="Append">Adds <c>, value</c> to what the client sent.</param>
/// <param name="Conditions">All must hold.</param>
/// <param name="AllowPlaintext">Also over http, where anyone on the way can read it.</param>
internal sealed record HeaderRule(
    HostPattern Host,
    ImmutableArray<HeaderValue> Set,
    ImmutableArray<HeaderValue> Append,
    ImmutableArray<HeaderCondition> Conditions,
    bool AllowPlaintext)
{
    /// <summary>Whether a pattern, however it is spelt, is this rule's own.</summary>
    public bool Matches(HostPattern pattern) => Host.Kind == pattern.Kind && Host.Name == pattern.Name;
}

/// <summary>The <c>headers</c> section: host patterns and what is done for each. All of it is live.</summary>
internal sealed record HeaderOptions
{
    /// <summary>In the file's order, which decides between equally specific patterns.</summary>
    public ImmutableArray<HeaderRule> Rules { get; init; } = [];

    /// <summary>Reads the section; when nothing is written, all is as in <paramref name="fallback"/>.</summary>
    public static HeaderOptions Read(ConfigNode section, HeaderOptions? fallback = null)
    {
        if (section.IsAbsent)
            return fallback ?? new HeaderOptions();
        var rules = ImmutableArray.CreateBuilder<HeaderRule>();
        foreach (var (key, node) in section.Entries())
        {
            if (HeaderRuleReader.Read(key, node) is not { } rule)
                continue;
            if (rules.FirstOrDefault(r => r.Matches(rule.Host)) is { } twin)
                node.Error($"names the same hosts as {ConfigPath.Quote(twin.Host.Text)} above; write one of them");
            rules.Add(rule);
        }

        return new HeaderOptions { Rules = rules.ToImmutable() };
    }

    /// <summary>These rules with the section's put in place of those for the same pattern; null removes a pattern's rule.</summary>
    public HeaderOptions Merge(ConfigNode section)
    {
        var rules = Rules.ToList();
        foreach (var (key, node) in section.Entries())
        {
            var rule = node.IsNull ? null : HeaderRuleReader.Read(key, node);
            var host = rule?.Host ?? node.ToHostPattern(key);
            var at = host is null ? -1 : rules.FindIndex(r => r.Matches(host));
            if (rule is not null && at >= 0)
                rules[at] = rule;
            else if (rule is not null)
                rules.Add(rule);
            else if (at >= 0)
                rules.RemoveAt(at);
        }

        return new HeaderOptions { Rules = [.. rules] };
    }
}
