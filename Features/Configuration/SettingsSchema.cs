using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>
/// The JSON Schema (2020-12) of a configuration file, for editors: keys and values as <see cref="ProxySettings.Read"/> asks for them, what they mean as
/// docs/configuration.md says it, the defaults of <see cref="ProxySettings.Default"/>.
/// </summary>
internal static partial class SettingsSchema
{
    /// <summary>What may be written, section by section.</summary>
    public static ConfigShape Shape() => ConfigShape.Of(root => ProxySettings.Read(root, ProxySettings.Default(DataDirectory.System)));

    /// <summary>The whole document, indented for people.</summary>
    public static string Text()
    {
        var (meanings, buffer) = (Meanings().ToDictionary(), new ArrayBufferWriter<byte>());
        using var defaults = JsonDocument.Parse(SettingsJson.ToText(ProxySettings.Default(DataDirectory.System)));
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("$schema", "https://json-schema.org/draft/2020-12/schema");
            json.WriteString("title", "Discobot");
            Shape().Write(json, "", (writer, path) => Describe(writer, path, meanings, defaults.RootElement));
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>What the table of docs/configuration.md says of each key; <c>*</c> stands for one that is the user's own.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Meanings()
    {
        using var stream = typeof(SettingsSchema).Assembly.GetManifestResourceStream("configuration.md")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith("| `", StringComparison.Ordinal) || CellEnd().Split(line) is not [_, var keys, _, var meaning, _])
                continue;
            var section = "";
            foreach (Match key in KeyName().Matches(keys))
            {
                var name = key.Groups["name"].Value;
                name = name.StartsWith('.') ? section + name : OwnName().Replace(name, "*");
                section = name[..Math.Max(0, name.LastIndexOf('.'))];
                var use = RestartKeys.All.Any(restart => restart.Key == name || name.StartsWith($"{restart.Key}.", StringComparison.Ordinal)) ? "Needs a restart." : "Applies live.";
                yield return KeyValuePair.Create(name, Plain(meaning) is { Length: > 0 } text ? $"{text}. {use}" : use);
            }
        }
    }

    private static void Describe(Utf8JsonWriter json, string path, Dictionary<string, string> meanings, JsonElement defaults)
    {
        if (meanings.TryGetValue(path, out var meaning))
            json.WriteString("description", meaning);
        var value = defaults;
        foreach (var name in path.Split('.'))
        {
            if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(name, out value))
                return;
        }

        if (value.ValueKind == JsonValueKind.Object)
            return;
        json.WritePropertyName("default");
        value.WriteTo(json);
    }

    private static string Plain(string markdown)
    {
        var text = Link().Replace(markdown.Replace("\\|", "|", StringComparison.Ordinal), "$1").Replace("`", "", StringComparison.Ordinal).Trim();
        return text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];
    }

    [GeneratedRegex(@"(?<!\\)\|")]
    private static partial Regex CellEnd();

    [GeneratedRegex(@"`(?<name>[a-z0-9_.<>]+)`")]
    private static partial Regex KeyName();

    [GeneratedRegex("<[a-z]+>")]
    private static partial Regex OwnName();

    [GeneratedRegex(@"\[([^\]]+)\]\([^)]+\)")]
    private static partial Regex Link();
}
