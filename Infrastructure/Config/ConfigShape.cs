using System.Text.Json;

namespace Discobot.Infrastructure.Config;

/// <summary>
/// What may be written at one place of a configuration, as the readers themselves tell it: each question that a reader asks a <see cref="ConfigNode"/> is noted
/// here, when the document is one that is only sketched (<see cref="Of"/>). So there is no second list of keys that could differ from what is read.
/// </summary>
internal sealed class ConfigShape
{
    private readonly SortedDictionary<string, ConfigShape> _keys = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ScalarShape> _scalars = new(StringComparer.Ordinal);
    private ConfigShape? _items;
    private ConfigShape? _entries;

    /// <summary>The keys of a section, by name; empty where there are none, or any may be.</summary>
    public IReadOnlyDictionary<string, ConfigShape> Keys => _keys;

    /// <summary>What stands below keys that are the user's own; null where there are none.</summary>
    public ConfigShape? Entries => _entries;

    /// <summary>The keys that must be there.</summary>
    public SortedSet<string> Needed { get; } = new(StringComparer.Ordinal);

    /// <summary>Nobody reads it as anything: a key of former times.</summary>
    public bool IsIgnored => _keys.Count + _scalars.Count == 0 && _items is null && _entries is null;

    public ConfigShape Key(string name) => _keys.TryGetValue(name, out var known) ? known : _keys[name] = new ConfigShape();

    public ConfigShape Item() => _items ??= new ConfigShape();

    public ConfigShape Entry() => _entries ??= new ConfigShape();

    public void Scalar(ScalarShape scalar) => _scalars[scalar.Name] = scalar;

    /// <summary>Finds out what a reader asks for: it reads a document twice in which everything is there, as mappings and as something else.</summary>
    public static ConfigShape Of<T>(Func<ConfigNode, T> read)
    {
        var shape = new ConfigShape();
        foreach (var kind in (ConfigKind[])[ConfigKind.Mapping, ConfigKind.List])
            read(ConfigNode.Sketch(shape, kind));
        return shape;
    }

    /// <summary>Writes it as a JSON Schema (2020-12).</summary>
    /// <param name="more">Writes what else is known of a key, by its path.</param>
    public void Write(Utf8JsonWriter json, string path, Action<Utf8JsonWriter, string> more)
    {
        if (IsIgnored)
        {
            json.WriteBoolean("deprecated", true);
            return;
        }

        more(json, path);
        // What is written without a value has its default. A list may be written as its only item, if that is a single value.
        var choices = Choices(path, more).Concat(_items?._scalars.Values.Select(Choice) ?? []).ToList();
        if (choices is [var only])
        {
            only(json);
            return;
        }

        json.WriteStartArray("anyOf");
        foreach (var choice in choices)
        {
            json.WriteStartObject();
            choice(json);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private IEnumerable<Action<Utf8JsonWriter>> Choices(string path, Action<Utf8JsonWriter, string> more)
    {
        foreach (var scalar in _scalars.Values)
            yield return Choice(scalar);
        if (_items is { } items)
        {
            yield return json =>
            {
                Type(json, "array");
                json.WriteStartObject("items");
                items.Write(json, path + "[]", more);
                json.WriteEndObject();
            };
        }

        if (_keys.Count > 0 || _entries is not null)
            yield return json => WriteMapping(json, path, more);
    }

    private void WriteMapping(Utf8JsonWriter json, string path, Action<Utf8JsonWriter, string> more)
    {
        Type(json, "object");
        json.WriteStartObject("properties");
        foreach (var (name, shape) in _keys)
        {
            json.WriteStartObject(name);
            shape.Write(json, path.Length == 0 ? name : $"{path}.{name}", more);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        if (Needed.Count > 0)
            json.WriteList("required", Needed);
        if (_entries is null)
        {
            json.WriteBoolean("additionalProperties", false);
            return;
        }

        json.WriteStartObject("additionalProperties");
        _entries.Write(json, path + ".*", more);
        json.WriteEndObject();
    }

    private static Action<Utf8JsonWriter> Choice(ScalarShape scalar) => json =>
    {
        if (scalar.Words is { } words)
        {
            json.WriteStartArray("enum");
            foreach (var word in words)
                json.WriteStringValue(word);
            if (scalar.IsBool)
            {
                json.WriteBooleanValue(true);
                json.WriteBooleanValue(false);
            }

            json.WriteNullValue();
            json.WriteEndArray();
            return;
        }

        Type(json, scalar.Types);
        if (scalar.Pattern is { } pattern)
            json.WriteString("pattern", pattern);
        else if (scalar.Types.Contains("string"))
            json.WriteNumber("minLength", 1);
        if (scalar.Least is { } least)
            json.WriteNumber("minimum", least);
        if (scalar.Most is { } most)
            json.WriteNumber("maximum", most);
    };

    private static void Type(Utf8JsonWriter json, params ReadOnlySpan<string> types)
    {
        json.WriteStartArray("type");
        foreach (var type in types)
            json.WriteStringValue(type);
        json.WriteStringValue("null");
        json.WriteEndArray();
    }
}

/// <summary>A single value.</summary>
/// <param name="Name">By which shapes are told apart.</param>
/// <param name="Types">JSON's names of what it may be.</param>
internal sealed record ScalarShape(string Name, params string[] Types)
{
    /// <summary>Numbers and words count as written.</summary>
    public static readonly ScalarShape Text = new("text", "string", "number", "boolean");

    public static readonly ScalarShape Bool = new("bool") { Words = ["true", "false", "yes", "no", "on", "off"], IsBool = true };

    /// <summary>A bare number is of seconds.</summary>
    public static readonly ScalarShape Duration = new("duration", "string", "number") { Pattern = "^([0-9.]+|([0-9.]+(ms|d|h|m|s))+)$", Least = 0 };

    public static readonly ScalarShape Size = new("size", "string", "integer") { Pattern = "^[0-9.]+ *([KkMmGgTt]([Ii]?[Bb]?)|[Bb])?$", Least = 0 };

    public static ScalarShape Whole(long least, long most) => new("whole", "integer") { Least = least, Most = most };

    public static ScalarShape OneOf(params string[] words) => new("word") { Words = words };

    /// <summary>The only texts there are.</summary>
    public IReadOnlyList<string>? Words { get; init; }

    public bool IsBool { get; init; }

    /// <summary>Of what is a string.</summary>
    public string? Pattern { get; init; }

    /// <summary>Of what is a number.</summary>
    public long? Least { get; init; }

    public long? Most { get; init; }
}
