using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Discobot.Features.Configuration;

/// <summary>Settings as a configuration file would say them. Secrets are masked, so what is printed can be read but not always be used.</summary>
internal static partial class SettingsYaml
{
    public static string ToText(ProxySettings settings)
    {
        using var json = JsonDocument.Parse(SettingsJson.ToText(settings));
        return ToText(json.RootElement);
    }

    /// <summary>The same from <see cref="SettingsJson"/>'s document.</summary>
    public static string ToText(JsonElement settings)
    {
        var yaml = new StringBuilder();
        Write(yaml, settings, 0);
        return yaml.ToString();
    }

    private static void Write(StringBuilder yaml, JsonElement element, int depth)
    {
        foreach (var entry in element.EnumerateObject())
        {
            yaml.Append(' ', depth * 2).Append(Scalar(entry.Name)).Append(':');
            switch (entry.Value.ValueKind)
            {
                case JsonValueKind.Object when entry.Value.EnumerateObject().Any():
                    yaml.Append('\n');
                    Write(yaml, entry.Value, depth + 1);
                    break;
                case JsonValueKind.Array when entry.Value.GetArrayLength() > 0:
                    yaml.Append('\n');
                    foreach (var item in entry.Value.EnumerateArray())
                        yaml.Append(' ', depth * 2).Append("- ").Append(Inline(item)).Append('\n');
                    break;
                default:
                    yaml.Append(' ').Append(Inline(entry.Value)).Append('\n');
                    break;
            }
        }
    }

    private static string Inline(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Scalar(value.GetString()!),
        JsonValueKind.Object => $"{{{string.Join(", ", value.EnumerateObject().Select(e => $"{Scalar(e.Name)}: {Inline(e.Value)}"))}}}",
        JsonValueKind.Array => $"[{string.Join(", ", value.EnumerateArray().Select(Inline))}]",
        _ => value.GetRawText(),
    };

    // JSON's quoted strings are YAML's as well.
    private static string Scalar(string text) =>
        PlainPattern().IsMatch(text) ? text : $"\"{JsonEncodedText.Encode(text, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";

    [GeneratedRegex("^(?!(?:true|false|yes|no|on|off|null)$)[A-Za-z/][A-Za-z0-9/_.-]*$|^[0-9]+[a-zA-Z][a-zA-Z0-9]*$", RegexOptions.IgnoreCase)]
    private static partial Regex PlainPattern();
}
