namespace Discobot.Infrastructure.Http1;

/// <summary>The fields of a message about to be sent, in their order; a name may stand on several lines. Values are Latin-1: bytes as characters.</summary>
internal sealed class FieldList
{
    private readonly List<KeyValuePair<string, string>> _lines = new(16);

    public IReadOnlyList<KeyValuePair<string, string>> Lines => _lines;

    public void Add(string name, string value) => _lines.Add(new(name, value));

    public bool Contains(string name) => _lines.Exists(line => Same(line.Key, name));

    public void Remove(string name) => _lines.RemoveAll(line => Same(line.Key, name));

    /// <summary>One line of this name instead of whatever there was, where the first of them stood.</summary>
    public void Set(string name, string value)
    {
        var first = _lines.FindIndex(line => Same(line.Key, name));
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

    /// <summary>Makes the last line of this name longer by a member (RFC 9110, 5.3), so that what came on several lines stays on them.</summary>
    public void Append(string name, string member)
    {
        var last = _lines.FindLastIndex(line => Same(line.Key, name));
        if (last < 0)
            Add(name, member);
        else
            _lines[last] = new(_lines[last].Key, _lines[last].Value.Length > 0 ? $"{_lines[last].Value}, {member}" : member);
    }

    private static bool Same(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
