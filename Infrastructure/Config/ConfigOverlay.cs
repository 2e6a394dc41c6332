using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Discobot.Infrastructure.Config;

/// <summary>Lays one configuration text over another: mappings key by key, everything else whole.</summary>
internal sealed class ConfigOverlay
{
    /// <summary>Where a container's start puts what it has made of the workspace's file and the policy; the second where its volume takes nothing. Their
    /// lines are those of neither.</summary>
    public static readonly IReadOnlyList<string> Places = ["/.data/proxy/config.yaml", "/run/discobot/config.yaml"];

    private readonly Utf8JsonWriter _json;
    private readonly IReadOnlyCollection<string> _keep;

    private ConfigOverlay(Utf8JsonWriter json, IReadOnlyCollection<string> keep) => (_json, _keep) = (json, keep);

    /// <summary>Writes the result as JSON, which YAML readers take. Scalars become strings: what they mean is decided by who asks.</summary>
    public static string ToJson(ConfigValue? below, ConfigValue? above, IReadOnlyCollection<string> keep)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            new ConfigOverlay(json, keep).Write("", below, above);
        return Encoding.UTF8.GetString(buffer.WrittenSpan) + "\n";
    }

    private void Write(string path, ConfigValue? below, ConfigValue? above)
    {
        var kept = below is not (null or { Kind: ConfigKind.Null }) && _keep.Contains(path);
        if (above is null or { Kind: ConfigKind.Null } || kept)
            WriteValue(below);
        else if (above.Kind == ConfigKind.Mapping && below is { Kind: ConfigKind.Mapping })
            WriteBoth(path, below, above);
        else
            WriteValue(above);
    }

    private void WriteBoth(string path, ConfigValue below, ConfigValue above)
    {
        _json.WriteStartObject();
        foreach (var entry in below.Entries)
        {
            _json.WritePropertyName(entry.Key);
            Write(ConfigPath.Key(path, entry.Key), entry.Value, above.Entries.FirstOrDefault(e => e.Key == entry.Key)?.Value);
        }

        foreach (var entry in above.Entries.Where(e => below.Entries.All(b => b.Key != e.Key)))
        {
            _json.WritePropertyName(entry.Key);
            WriteValue(entry.Value);
        }

        _json.WriteEndObject();
    }

    private void WriteValue(ConfigValue? value)
    {
        switch (value?.Kind)
        {
            case ConfigKind.Scalar:
                _json.WriteStringValue(value.Text);
                break;
            case ConfigKind.List:
                _json.WriteStartArray();
                foreach (var item in value.Items)
                    WriteValue(item);
                _json.WriteEndArray();
                break;
            case ConfigKind.Mapping:
                _json.WriteStartObject();
                foreach (var entry in value.Entries)
                {
                    _json.WritePropertyName(entry.Key);
                    WriteValue(entry.Value);
                }

                _json.WriteEndObject();
                break;
            default:
                _json.WriteNullValue();
                break;
        }
    }
}
