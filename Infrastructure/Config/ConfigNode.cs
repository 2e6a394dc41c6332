namespace Discobot.Infrastructure.Config;

/// <summary>
/// A place in a configuration text, written or not, that options are read from: <c>section["max_size"].AsSize(fallback)</c>.
/// Reading never throws: a wrong value adds an error and gives the fallback.
/// </summary>
internal sealed partial class ConfigNode
{
    private readonly ConfigValue? _value;
    private readonly ConfigErrors _errors;
    private readonly Dictionary<string, ConfigNode> _asked = new(StringComparer.Ordinal);
    private readonly ConfigShape? _shape;
    private readonly ConfigKind _sketched;
    private bool _opaque;

    internal ConfigNode(ConfigValue? value, string path, ConfigPlace place, ConfigErrors errors)
    {
        (_value, Path, Place, _errors) = (value, path, place, errors);
    }

    private ConfigNode(ConfigShape shape, ConfigKind kind) : this(null, "", new ConfigPlace("sketch"), new ConfigErrors()) => (_shape, _sketched) = (shape, kind);

    /// <summary>A document in which everything is there and nothing is written: what is asked of it is noted in <paramref name="shape"/>, and answered with the fallback.</summary>
    /// <param name="shape">Of this place.</param>
    /// <param name="kind">What everything is taken for where a reader tells kinds apart.</param>
    public static ConfigNode Sketch(ConfigShape shape, ConfigKind kind) => new(shape, kind);

    /// <summary>The key path from the root, such as <c>cache.patterns[2]</c>.</summary>
    public string Path { get; }

    /// <summary>Where the value begins; for what is not written, where its section begins.</summary>
    public ConfigPlace Place { get; }

    /// <summary>Nothing is written here, or null: the fallback holds.</summary>
    public bool IsAbsent => _shape is null && _value is null or { Kind: ConfigKind.Null };

    /// <summary>Null is written here in so many words (or the key stands alone).</summary>
    public bool IsNull => _value is { Kind: ConfigKind.Null };

    /// <summary>The single value as it is written, whatever it means; null where there is none.</summary>
    public string? Written => _value is { Kind: ConfigKind.Scalar, Text.Length: > 0 } ? _value.Text : null;

    public bool IsMapping => (_value?.Kind ?? _sketched) == ConfigKind.Mapping;

    public bool IsList => (_value?.Kind ?? _sketched) == ConfigKind.List;

    /// <summary>A single value from elsewhere, an environment variable or an argument, whose mistakes are told with this document's.</summary>
    /// <param name="text">The value.</param>
    /// <param name="source">What errors call the place.</param>
    /// <param name="name">The variable's or option's name.</param>
    public ConfigNode Beside(string text, string source, string name)
    {
        var place = new ConfigPlace(source);
        return new ConfigNode(ConfigValue.Scalar(place, text), name, place, _errors);
    }

    /// <summary>The value of a key of this section. Asking makes the key a known one.</summary>
    public ConfigNode this[string key]
    {
        get
        {
            if (_asked.TryGetValue(key, out var known))
                return known;
            if (_shape is not null)
                return _asked[key] = Sketch(_shape.Key(key), _sketched);
            Expect(ConfigKind.Mapping, "must be a mapping of keys to values");
            var value = _value?.Entries.FirstOrDefault(e => e.Key == key)?.Value;
            return _asked[key] = new ConfigNode(value, ConfigPath.Key(Path, key), value?.Place ?? Place, _errors);
        }
    }

    /// <summary>All entries of a mapping whose keys are the user's own (host patterns, header names), in the order written.</summary>
    public IEnumerable<(string Key, ConfigNode Value)> Entries()
    {
        if (_shape is not null)
            yield return ("*", Sketch(_shape.Entry(), _sketched));
        if (!Expect(ConfigKind.Mapping, "must be a mapping"))
            yield break;
        foreach (var entry in _value!.Entries)
            yield return (entry.Key, this[entry.Key]);
    }

    /// <summary>The items of a list; none when it is absent or, told as an error, no list. A single value is a list of one.</summary>
    public IEnumerable<ConfigNode> Items()
    {
        if (_shape is not null)
            yield return Sketch(_shape.Item(), _sketched);
        if (_value is { Kind: ConfigKind.Scalar })
        {
            yield return this;
            yield break;
        }

        if (!Expect(ConfigKind.List, "must be a list, as in [a, b] or one \"- a\" a line"))
            yield break;
        for (var i = 0; i < _value!.Items.Count; i++)
        {
            var key = ConfigPath.Item("", i);
            if (!_asked.TryGetValue(key, out var item))
                _asked[key] = item = new ConfigNode(_value.Items[i], ConfigPath.Item(Path, i), _value.Items[i].Place, _errors);
            yield return item;
        }
    }

    /// <summary>The value of a key that a mapping cannot be without.</summary>
    /// <param name="key">Of this section.</param>
    /// <param name="need">Said where it is not written.</param>
    public ConfigNode Needed(string key, string need)
    {
        _shape?.Needed.Add(key);
        if (IsMapping && this[key].IsAbsent)
            this[key].Error(need);
        return this[key];
    }

    /// <summary>Tells a mistake about this very value: what is wrong; what is allowed.</summary>
    public void Error(string message) => _errors.Add(Place, Path, message);

    /// <summary>Called once after reading: a key nobody asked for is one nobody understands.</summary>
    internal void ReportUnknownKeys()
    {
        foreach (var child in _asked.Values)
            child.ReportUnknownKeys();
        if (_value is not { Kind: ConfigKind.Mapping } || _asked.Count == 0)
            return;
        foreach (var entry in _value.Entries.Where(e => !_asked.ContainsKey(e.Key)))
            _errors.Add(entry.Place, ConfigPath.Key(Path, entry.Key), NearestWord.Unknown("key", entry.Key, _asked.Keys));
    }

    // True when there is such a value. A value of the wrong shape is told once, however often it is asked.
    private bool Expect(ConfigKind kind, string message)
    {
        if (_shape is not null || IsAbsent)
            return false;
        if (_value!.Kind == kind)
            return true;
        if (!_opaque)
            Error($"{message}, not {Described}");
        _opaque = true;
        return false;
    }

    private string Described => _value switch
    {
        { Kind: ConfigKind.Scalar } => ConfigPath.Quote(_value.Text),
        { Kind: ConfigKind.List } => "a list",
        { Kind: ConfigKind.Mapping } => "a mapping",
        _ => "nothing",
    };
}
