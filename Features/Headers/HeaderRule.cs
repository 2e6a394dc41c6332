using System.Collections.Immutable;
using System.Text.Json;
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

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        WriteValues(json, "set", Set);
        WriteValues(json, "append", Append);
        json.WriteStartArray("conditions");
        foreach (var condition in Conditions)
        {
            json.WriteStartObject();
            json.WriteString("header", condition.Header);
            json.WriteString("equals", condition.EqualTo.ToString());
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteBoolean("allow_plaintext", AllowPlaintext);
        json.WriteEndObject();
    }

    private static void WriteValues(Utf8JsonWriter json, string name, ImmutableArray<HeaderValue> values)
    {
        json.WriteStartObject(name);
        foreach (var value in values)
            json.WriteString(value.Name, value.Value.ToString());
        json.WriteEndObject();
    }
}
