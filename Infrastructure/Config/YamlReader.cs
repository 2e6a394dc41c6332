using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Discobot.Infrastructure.Config;

/// <summary>Turns the parser's events into <see cref="ConfigValue"/>s. The reflection deserializer is not used: it does not survive AOT.</summary>
internal sealed class YamlReader(string text, string source, ConfigErrors errors)
{
    /// <summary>Our own files nest five deep.</summary>
    private const int MaxDepth = 32;

    /// <summary>Counted with aliases written out, so ten lines cannot stand for a billion values.</summary>
    private const int MaxValues = 50_000;

    private readonly Parser _events = new(new Scanner(new StringReader(text), skipComments: true));
    private readonly Dictionary<AnchorName, ConfigValue> _anchors = [];
    private int _values;

    /// <summary>The root mapping; null, with one error told, when the text is no single YAML mapping.</summary>
    public ConfigValue? Read()
    {
        try
        {
            return ReadDocument();
        }
        catch (RefusedException e)
        {
            errors.Add(e.Place, e.Path, e.Message);
        }
        catch (YamlException e)
        {
            if (TabInIndentation(e.Start.Line, e.End.Line + 1) is { } tab)
                errors.Add(tab, "", "a tab in the indentation; YAML allows spaces only");
            else
                errors.Add(Place(e.Start), "", $"not valid YAML: {e.Message.TrimEnd('.')}");
        }
        // The parser meets some broken texts with these instead of its own exception; found by random texts.
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or OverflowException)
        {
            errors.Add(Place(_events.Current?.End ?? Mark.Empty), "", "not valid YAML here or on the next lines");
        }

        return null;
    }

    private ConfigValue ReadDocument()
    {
        _events.Consume<StreamStart>();
        if (_events.Accept<StreamEnd>(out _))
            throw new RefusedException(new ConfigPlace(source, 1, 1), "", "nothing is written here; a mapping of sections is needed");
        _events.Consume<DocumentStart>();
        var root = ReadValue("", 0);
        _events.Consume<DocumentEnd>();
        if (_events.Accept<DocumentStart>(out var second))
            throw new RefusedException(Place(second.Start), "", "a second document begins here; one is allowed");
        return root.Kind switch
        {
            ConfigKind.Mapping => root,
            ConfigKind.Null => throw new RefusedException(root.Place, "", "nothing is written here; a mapping of sections is needed"),
            _ => throw new RefusedException(root.Place, "", $"must be a mapping of sections, not a {Name(root.Kind)}"),
        };
    }

    private ConfigValue ReadValue(string path, int depth)
    {
        if (depth > MaxDepth)
            throw new RefusedException(Place(_events.Current!.Start), path, $"nested too deep; at most {MaxDepth} levels");
        if (_events.TryConsume<AnchorAlias>(out var alias))
            return ReadAlias(alias, path);
        if (_events.Current is not NodeEvent node)
            throw new RefusedException(Place(_events.Current!.Start), path, "a value is missing here");
        Count(1, node, path);
        if (!node.Tag.IsEmpty && !node.Tag.IsNonSpecific && !node.Tag.Value.StartsWith("tag:yaml.org,2002:", StringComparison.Ordinal))
            errors.Add(Place(node.Start), path, $"the tag {node.Tag.Value} means nothing here; leave it out");
        var value = node switch
        {
            Scalar scalar => ReadScalar(scalar),
            SequenceStart => ReadList(path, depth),
            _ => ReadMapping(path, depth),
        };
        if (!node.Anchor.IsEmpty)
            _anchors[node.Anchor] = value;
        return value;
    }

    private ConfigValue ReadScalar(Scalar scalar)
    {
        _events.MoveNext();
        var isNull = scalar.Style == ScalarStyle.Plain && scalar.Value is "" or "~" or "null" or "Null" or "NULL";
        return isNull
            ? ConfigValue.Null(Place(scalar.Start))
            : ConfigValue.Scalar(Place(scalar.Start), scalar.Value);
    }

    private ConfigValue ReadList(string path, int depth)
    {
        var start = _events.Consume<SequenceStart>();
        List<ConfigValue> items = [];
        while (!_events.TryConsume<SequenceEnd>(out _))
            items.Add(ReadValue(ConfigPath.Item(path, items.Count), depth + 1));
        return new ConfigValue(ConfigKind.List, Place(start.Start), "", items, [], 1 + items.Sum(i => i.Weight));
    }

    private ConfigValue ReadMapping(string path, int depth)
    {
        var start = _events.Consume<MappingStart>();
        var entries = new OrderedDictionary<string, ConfigEntry>(StringComparer.Ordinal);
        while (!_events.TryConsume<MappingEnd>(out _))
        {
            if (!_events.TryConsume<Scalar>(out var key))
                throw new RefusedException(Place(_events.Current!.Start), path, "a key must be a plain word or a quoted string");
            // Merging is YAML 1.1; 1.2 has no such key (YAML 1.2.2, 10).
            if (key is { Value: "<<", Style: ScalarStyle.Plain })
                throw new RefusedException(Place(key.Start), path, "\"<<\" does not merge here; write the keys out, or use the alias as the whole value");
            var keyPath = ConfigPath.Key(path, key.Value);
            var entry = new ConfigEntry(key.Value, Place(key.Start), ReadValue(keyPath, depth + 1));
            if (!entries.TryAdd(key.Value, entry))
                errors.Add(entry.Place, keyPath, $"written twice; first on line {entries[key.Value].Place.Line}");
        }

        return new ConfigValue(ConfigKind.Mapping, Place(start.Start), "", [], [.. entries.Values], 1 + entries.Values.Sum(e => e.Value.Weight));
    }

    // An anchor is known only once its value is complete, so no value can contain itself.
    private ConfigValue ReadAlias(AnchorAlias alias, string path)
    {
        if (!_anchors.TryGetValue(alias.Value, out var value))
            throw new RefusedException(Place(alias.Start), path, $"*{alias.Value} names no anchor that was completed above");
        Count(value.Weight, alias, path);
        return value;
    }

    private void Count(int more, ParsingEvent at, string path)
    {
        _values += more;
        if (_values > MaxValues)
            throw new RefusedException(Place(at.Start), path, $"too many values, aliases written out; at most {MaxValues}");
    }

    private ConfigPlace Place(Mark mark) => new(source, (int)Math.Max(1, mark.Line), (int)Math.Max(1, mark.Column));

    private ConfigPlace? TabInIndentation(long firstLine, long lastLine)
    {
        var number = 0;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            if (++number > lastLine)
                break;
            if (number >= firstLine && line[..^line.TrimStart().Length].IndexOf('\t') is >= 0 and var tab)
                return new ConfigPlace(source, number, tab + 1);
        }

        return null;
    }

    private static string Name(ConfigKind kind) => kind == ConfigKind.List ? "list" : "single value";

    /// <summary>Ends the reading of a text that cannot mean anything; caught in <see cref="Read"/> only.</summary>
    private sealed class RefusedException(ConfigPlace place, string path, string message) : Exception(message)
    {
        public ConfigPlace Place { get; } = place;

        public string Path { get; } = path;
    }
}
