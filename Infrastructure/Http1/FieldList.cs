using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.Primitives;

namespace Discobot.Infrastructure.Http1;

/// <summary>The fields of a message, in their order and their own case; a name may stand on several lines. Values are Latin-1: bytes as
/// characters. To the stages of the pipeline it is the dictionary that they know.</summary>
internal sealed class FieldList : IHeaderDictionary
{
    private readonly List<KeyValuePair<string, string>> _lines = new(16);

    public IReadOnlyList<KeyValuePair<string, string>> Lines => _lines;

    /// <summary>The number of lines, not of names.</summary>
    public int Count => _lines.Count;

    public bool IsReadOnly => false;

    public long? ContentLength
    {
        get
        {
            var line = IndexOf("Content-Length", 0);
            return line >= 0 && long.TryParse(_lines[line].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? length : null;
        }
        set => this["Content-Length"] = value is { } length ? length.ToString(CultureInfo.InvariantCulture) : StringValues.Empty;
    }

    public ICollection<string> Keys => [.. _lines.Select(static line => line.Key).Distinct(StringComparer.OrdinalIgnoreCase)];

    public ICollection<StringValues> Values => [.. Keys.Select(name => this[name])];

    public StringValues this[string name]
    {
        get
        {
            var first = IndexOf(name, 0);
            if (first < 0)
                return StringValues.Empty;
            var values = new StringValues(_lines[first].Value);
            for (var i = IndexOf(name, first + 1); i >= 0; i = IndexOf(name, i + 1))
                values = StringValues.Concat(values, _lines[i].Value);
            return values;
        }
        set
        {
            if (value.Count == 0)
            {
                Remove(name);
                return;
            }

            Set(name, value[0] ?? "");
            var at = IndexOf(name, 0);
            for (var i = 1; i < value.Count; i++)
                _lines.Insert(at + i, new(name, value[i] ?? ""));
        }
    }

    /// <summary>One more line.</summary>
    public void Add(string name, string value) => _lines.Add(new(name, value));

    public void Add(string key, StringValues value)
    {
        foreach (var one in value)
            Add(key, one ?? "");
    }

    public bool Contains(string name) => IndexOf(name, 0) >= 0;

    public bool ContainsKey(string key) => Contains(key);

    public bool Remove(string name) => _lines.RemoveAll(line => Same(line.Key, name)) > 0;

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out StringValues value) => (value = this[key]).Count > 0;

    public void Clear() => _lines.Clear();

    /// <summary>Whether a list field, on whichever of its lines, has this member (RFC 9110, 5.6.1).</summary>
    public bool HasMember(string name, ReadOnlySpan<char> member)
    {
        for (var i = IndexOf(name, 0); i >= 0; i = IndexOf(name, i + 1))
        {
            var value = _lines[i].Value.AsSpan();
            foreach (var range in value.Split(','))
            {
                if (value[range].Trim(" \t").Equals(member, StringComparison.OrdinalIgnoreCase))
                    return true;
            }
        }

        return false;
    }

    /// <summary>One line of this name instead of whatever there was, where the first of them stood.</summary>
    public void Set(string name, string value)
    {
        var first = IndexOf(name, 0);
        if (first < 0)
        {
            Add(name, value);
            return;
        }

        _lines[first] = new(name, value);
        for (var i = _lines.Count - 1; i > first; i--)
        {
            if (Same(_lines[i].Key, name))
                _lines.RemoveAt(i);
        }
    }

    /// <summary>Another value on one line, which keeps its place and its name's case.</summary>
    public void SetLine(int line, string value) => _lines[line] = new(_lines[line].Key, value);

    public void RemoveLine(int line) => _lines.RemoveAt(line);

    /// <summary>Before all others.</summary>
    public void AddFirst(string name, string value) => _lines.Insert(0, new(name, value));

    /// <summary>Makes the last line of this name longer by a member (RFC 9110, 5.3), so that what came on several lines stays on them.</summary>
    public void Append(string name, string member)
    {
        var last = _lines.FindLastIndex(line => Same(line.Key, name));
        if (last < 0)
            Add(name, member);
        else
            _lines[last] = new(_lines[last].Key, _lines[last].Value.Length > 0 ? $"{_lines[last].Value}, {member}" : member);
    }

    /// <summary>Makes it the fields that were read. Lines that are the same as those there were need no new text: clients say much the same with
    /// each request.</summary>
    public void Read(FieldLines lines)
    {
        for (var i = 0; i < lines.Count; i++)
        {
            var name = lines.Name(i);
            var value = lines.Value(i);
            var known = i < _lines.Count ? _lines[i] : new(" ", " ");
            if (!System.Text.Ascii.Equals(name, known.Key))
                known = new(FieldNames.Text(name), " ");
            if (!System.Text.Ascii.Equals(value, known.Value))
                known = new(known.Key, System.Text.Encoding.Latin1.GetString(value));
            if (i < _lines.Count)
                _lines[i] = known;
            else
                _lines.Add(known);
        }

        if (_lines.Count > lines.Count)
            _lines.RemoveRange(lines.Count, _lines.Count - lines.Count);
    }

    public int IndexOf(string name, int from)
    {
        for (var i = from; i < _lines.Count; i++)
        {
            if (Same(_lines[i].Key, name))
                return i;
        }

        return -1;
    }

    public void Add(KeyValuePair<string, StringValues> item) => Add(item.Key, item.Value);

    public bool Contains(KeyValuePair<string, StringValues> item) => this[item.Key] == item.Value;

    public bool Remove(KeyValuePair<string, StringValues> item) => Contains(item) && Remove(item.Key);

    public void CopyTo(KeyValuePair<string, StringValues>[] array, int arrayIndex)
    {
        foreach (var one in this)
            array[arrayIndex++] = one;
    }

    /// <summary>Name by name, in the order of their first lines.</summary>
    public IEnumerator<KeyValuePair<string, StringValues>> GetEnumerator()
    {
        for (var i = 0; i < _lines.Count; i++)
        {
            if (IndexOf(_lines[i].Key, 0) == i)
                yield return new(_lines[i].Key, this[_lines[i].Key]);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static bool Same(string one, string other) => one.Length == other.Length && one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
