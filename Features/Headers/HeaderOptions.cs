using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Headers;

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

    /// <summary>The values, and the key of the rule that has them.</summary>
    public IEnumerable<(string Key, SecretText Value)> Secrets() =>
        Rules.SelectMany(r => r.Set.Concat(r.Append).Select(v => v.Value).Concat(r.Conditions.Select(c => c.EqualTo))
            .Select(value => ($"headers.\"{r.Host.Text}\"", value)));

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var rule in Rules)
        {
            json.WritePropertyName(rule.Host.Text);
            rule.Write(json);
        }

        json.WriteEndObject();
    }
}
