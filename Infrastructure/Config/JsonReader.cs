using System.Text;
using System.Text.Json;

namespace Discobot.Infrastructure.Config;

/// <summary>Turns JSON into the same <see cref="ConfigValue"/>s as YAML, so that one set of options reads both. The library's own documents
/// (JsonDocument, JsonNode) do not tell where a value stands, which every mistake has to say.</summary>
internal ref struct JsonReader
{
    private const int MaxDepth = 32;

    private readonly ReadOnlySpan<byte> _text;
    private readonly string _source;
    private readonly ConfigErrors _errors;
    private Utf8JsonReader _tokens;
    private int _line;
    private int _column;
    private int _counted;

    private JsonReader(ReadOnlySpan<byte> text, string source, ConfigErrors errors)
    {
        _text = text;
        (_source, _errors) = (source, errors);
        _tokens = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = MaxDepth });
        (_line, _column) = (1, 1);
    }

    /// <summary>The root object; null, with one error told, when the text is no single JSON object.</summary>
    public static ConfigValue? Read(ReadOnlySpan<byte> text, string source, ConfigErrors errors)
    {
        var reader = new JsonReader(text, source, errors);
        try
        {
            reader._tokens.Read();
            var root = reader.ReadValue("");
            // Fails on anything but white space behind it.
            reader._tokens.Read();
            if (root.Kind == ConfigKind.Mapping)
                return root;
            errors.Add(root.Place, "", "must be a JSON object");
        }
        catch (JsonException e)
        {
            errors.Add(new ConfigPlace(source, (int)(e.LineNumber ?? 0) + 1, (int)(e.BytePositionInLine ?? 0) + 1), "", "not valid JSON");
        }
        // Escapes that make no characters, such as half a surrogate pair.
        catch (InvalidOperationException)
        {
            errors.Add(reader.Place(), "", "not valid JSON: an escape names no character");
        }

        return null;
    }

    private ConfigValue ReadValue(string path) => _tokens.TokenType switch
    {
        JsonTokenType.StartObject => ReadObject(path),
        JsonTokenType.StartArray => ReadArray(path),
        JsonTokenType.Null => ConfigValue.Null(Place()),
        JsonTokenType.String => ConfigValue.Scalar(Place(), _tokens.GetString()!),
        _ => ConfigValue.Scalar(Place(), Encoding.UTF8.GetString(_tokens.ValueSpan)),
    };

    private ConfigValue ReadArray(string path)
    {
        var place = Place();
        List<ConfigValue> items = [];
        while (_tokens.Read() && _tokens.TokenType != JsonTokenType.EndArray)
            items.Add(ReadValue(ConfigPath.Item(path, items.Count)));
        return new ConfigValue(ConfigKind.List, place, "", items, [], 1);
    }

    private ConfigValue ReadObject(string path)
    {
        var place = Place();
        var entries = new OrderedDictionary<string, ConfigEntry>(StringComparer.Ordinal);
        while (_tokens.Read() && _tokens.TokenType != JsonTokenType.EndObject)
        {
            var (key, keyPlace) = (_tokens.GetString()!, Place());
            var keyPath = ConfigPath.Key(path, key);
            _tokens.Read();
            if (!entries.TryAdd(key, new ConfigEntry(key, keyPlace, ReadValue(keyPath))))
                _errors.Add(keyPlace, keyPath, $"written twice; first on line {entries[key].Place.Line}");
        }

        return new ConfigValue(ConfigKind.Mapping, place, "", [], [.. entries.Values], 1);
    }

    // Counts on from the last token: tokens come in order, so the text is walked once.
    private ConfigPlace Place()
    {
        for (var end = (int)_tokens.TokenStartIndex; _counted < end; _counted++)
        {
            if (_text[_counted] == '\n')
                (_line, _column) = (_line + 1, 1);
            else if ((_text[_counted] & 0xC0) != 0x80)
                _column++;
        }

        return new ConfigPlace(_source, _line, _column);
    }
}
