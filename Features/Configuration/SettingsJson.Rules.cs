using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Features.Allowlist;
using Discobot.Features.Headers;

namespace Discobot.Features.Configuration;

/// <summary>The two sections that hold rules.</summary>
internal static partial class SettingsJson
{
    private static void WriteHeaders(Utf8JsonWriter json, HeaderOptions headers)
    {
        json.WriteStartObject("headers");
        foreach (var rule in headers.Rules)
        {
            json.WriteStartObject(rule.Host.Text);
            WriteValues(json, "set", rule.Set);
            WriteValues(json, "append", rule.Append);
            json.WriteStartArray("conditions");
            foreach (var condition in rule.Conditions)
            {
                json.WriteStartObject();
                json.WriteString("header", condition.Header);
                json.WriteString("equals", condition.EqualTo.ToString());
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteBoolean("allow_plaintext", rule.AllowPlaintext);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteValues(Utf8JsonWriter json, string name, ImmutableArray<HeaderValue> values)
    {
        json.WriteStartObject(name);
        foreach (var value in values)
            json.WriteString(value.Name, value.Value.ToString());
        json.WriteEndObject();
    }

    private static void WriteAllowlist(Utf8JsonWriter json, AllowlistOptions allowlist)
    {
        json.WriteStartObject("allowlist");
        json.WriteBoolean("enabled", allowlist.Enabled);
        json.WriteString("mode", allowlist.Mode == AllowlistMode.Learn ? "learn" : "enforce");
        json.WriteBoolean("allow_private", allowlist.AllowPrivate);
        json.WriteStartArray("domains");
        foreach (var rule in allowlist.Domains)
            WriteDomain(json, rule);
        json.WriteEndArray();
        WriteList(json, "ips", allowlist.Ips);
        json.WriteEndObject();
    }

    private static void WriteDomain(Utf8JsonWriter json, DomainRule rule)
    {
        if (rule.Methods.IsEmpty && rule.Paths.IsEmpty)
        {
            json.WriteStringValue(rule.Host.Text);
            return;
        }

        json.WriteStartObject();
        json.WriteString("host", rule.Host.Text);
        if (!rule.Methods.IsEmpty)
            WriteList(json, "methods", rule.Methods);
        if (!rule.Paths.IsEmpty)
            WriteList(json, "paths", rule.Paths);
        json.WriteEndObject();
    }
}
