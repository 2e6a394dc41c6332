using System.Text.Json;
using Discobot.Features.Configuration;

namespace Discobot.Features.CommandLine.Policies;

/// <summary>What two configurations let pass differently by other keys than the allowlist's: what nobody looks into, which ways there are, who may use them and
/// what goes along.</summary>
internal static class PassageChanges
{
    private enum Way
    {
        /// <summary>More lets more pass, or looks into less of it.</summary>
        Wider,

        /// <summary>Less does.</summary>
        Narrower,

        /// <summary>Which way it leads depends on more than this key.</summary>
        Either,
    }

    private static readonly (string Key, Way Way, string Meaning)[] Keys =
    [
        ("tls.passthrough", Way.Wider, "whose connections are passed unopened"),
        ("tls.insecure_hosts", Way.Wider, "whose certificate is not checked"),
        ("tls.extra_ca", Way.Wider, "whose certificates are trusted for servers"),
        ("socks.inspect", Way.Narrower, "whether connections by SOCKS are looked into"),
        ("socks.udp", Way.Wider, "whether UDP may leave by SOCKS"),
        ("socks.users", Way.Either, "who may use the proxy"),
        ("clients", Way.Either, "who may use the proxy"),
        ("proxy.listen", Way.Wider, "where clients reach the proxy"),
        ("proxy.upstream", Way.Either, "by which way everything leaves"),
        ("egress.trust_agent", Way.Wider, "whether an agent that could undo the rules is trusted"),
        ("egress.no_new_privs", Way.Narrower, "whether set-user-ID programs give the agent nothing"),
        ("dns.types", Way.Wider, "which records are answered"),
        ("gateway.listen", Way.Wider, "where the gateway serves"),
        ("gateway.ports", Way.Wider, "on which the gateway takes connections"),
        ("gateway.routed", Way.Wider, "whether the clients' default route leads to the gateway"),
        ("docker.guard", Way.Either, "whether the agent's Docker socket refuses what leads out"),
        ("packages.min_age", Way.Either, "which packages do not exist yet"),
        ("packages.before", Way.Either, "which packages do not exist"),
        ("packages.min_age_exclude", Way.Wider, "packages that are never kept back"),
        ("limits", Way.Either, "how much a client may have"),
        ("headers", Way.Either, "which fields are added on the way to which hosts"),
        ("secrets", Way.Either, "which hosts get which secrets"),
        ("api.listen", Way.Wider, "where the API is reached, by which rules are changed"),
        ("api.hosts", Way.Wider, "names that the API answers to"),
        ("api.protect", Way.Either, "what of the API needs the token"),
        ("ask.webhook", Way.Either, "who is told of questions"),
    ];

    /// <summary>Adds them to those that let more pass, or less, or something else.</summary>
    /// <param name="tellsMode">Whether <c>egress.mode</c> is among them.</param>
    public static void Add(ProxySettings before, ProxySettings after, bool tellsMode, List<PolicyChange> wider, List<PolicyChange> narrower, List<PolicyChange> changed)
    {
        using var old = JsonDocument.Parse(SettingsJson.ToText(before));
        using var next = JsonDocument.Parse(SettingsJson.ToText(after));
        foreach (var (key, way, meaning) in tellsMode ? Keys.Append(("egress.mode", Way.Either, "what goes past the proxy")) : Keys)
        {
            var (had, has) = (Find(old.RootElement, key), Find(next.RootElement, key));
            var (more, less) = way switch { Way.Wider => (wider, narrower), Way.Narrower => (narrower, wider), _ => (changed, changed) };
            if (had is { ValueKind: JsonValueKind.Object } || has is { ValueKind: JsonValueKind.Object })
                AddMembers(key, meaning, had, has, changed);
            else if (had is { ValueKind: JsonValueKind.Array } || has is { ValueKind: JsonValueKind.Array })
                AddItems(key, meaning, Items(had), Items(has), more, less);
            else if (Text(had) is var was && Text(has) is var now && was != now)
                (now == "true" ? more : now == "false" ? less : changed).Add(new("~", $"{was} becomes {now}: {meaning}", key));
        }
    }

    private static void AddItems(string key, string meaning, string[] had, string[] has, List<PolicyChange> more, List<PolicyChange> less)
    {
        foreach (var gone in had.Except(has))
            less.Add(new("-", $"{gone}, {meaning}", key));
        foreach (var come in has.Except(had))
            more.Add(new("+", $"{come}, {meaning}", key));
    }

    private static void AddMembers(string key, string meaning, JsonElement? had, JsonElement? has, List<PolicyChange> changed)
    {
        var (old, next) = (Members(had), Members(has));
        foreach (var (name, value) in old.Where(m => !next.ContainsKey(m.Key)))
            changed.Add(new("-", $"{name} {value}: {meaning}", key));
        foreach (var (name, value) in next.Where(m => old.GetValueOrDefault(m.Key) != m.Value))
            changed.Add(old.TryGetValue(name, out var was) ? new("~", $"{name} {was} becomes {value}: {meaning}", key) : new("+", $"{name} {value}: {meaning}", key));
    }

    private static JsonElement? Find(JsonElement root, string key)
    {
        JsonElement? found = root;
        foreach (var name in key.Split('.'))
            found = found is { ValueKind: JsonValueKind.Object } of && of.TryGetProperty(name, out var value) ? value : null;
        return found is { ValueKind: JsonValueKind.Null } ? null : found;
    }

    private static string[] Items(JsonElement? list) => list is { ValueKind: JsonValueKind.Array } items ? [.. items.EnumerateArray().Select(item => Text(item))] : [];

    private static Dictionary<string, string> Members(JsonElement? of) =>
        of is { ValueKind: JsonValueKind.Object } members ? members.EnumerateObject().ToDictionary(m => m.Name, m => Text(m.Value)) : [];

    private static string Text(JsonElement? value) => value is not { } written ? "none" : JsonSerializer.Serialize(written, PolicyJson.Plain.JsonElement);
}
