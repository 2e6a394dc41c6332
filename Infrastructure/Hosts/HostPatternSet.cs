namespace Discobot.Infrastructure.Hosts;

/// <summary>
/// Patterns prebuilt for matching: one dictionary lookup a label instead of a walk through all entries. Immutable once built.
/// </summary>
internal sealed class HostPatternSet<T>
{
    private readonly Dictionary<string, Entry[]> _exact;
    private readonly Dictionary<string, Entry[]> _suffix;
    private readonly Dictionary<string, Entry[]> _prefix;
    private readonly Entry[] _any;

    /// <param name="items">In the file's order, which decides between equally specific patterns.</param>
    public HostPatternSet(IEnumerable<KeyValuePair<HostPattern, T>> items)
    {
        var entries = items.Select((item, order) => new Entry(item.Key, item.Value, order)).ToList();
        Count = entries.Count;
        _exact = Index(entries, HostPatternKind.Exact);
        _suffix = Index(entries, HostPatternKind.Suffix);
        _prefix = Index(entries, HostPatternKind.Prefix);
        _any = [.. entries.Where(e => e.Pattern.Kind == HostPatternKind.Any)];
    }

    public int Count { get; }

    /// <summary>The value of the most specific pattern that matches.</summary>
    public bool TryFind(in CanonicalHost host, out T? value)
    {
        if (_exact.TryGetValue(host.Name, out var exact))
        {
            value = exact[0].Value;
            return true;
        }

        var all = FindAll(host);
        value = all.Count > 0 ? all[0] : default;
        return all.Count > 0;
    }

    /// <summary>The values of all patterns that match, most specific first.</summary>
    public IReadOnlyList<T> FindAll(in CanonicalHost host)
    {
        if (Count == 0)
            return [];
        var found = new List<Entry>();
        if (_exact.TryGetValue(host.Name, out var exact))
            found.AddRange(exact);
        if (!host.IsLiteral && _suffix.Count + _prefix.Count > 0)
            AddWildcards(host.Name, found);
        found.AddRange(_any);
        if (found.Count > 1)
            found.Sort(Entry.Compare);
        return found.ConvertAll(e => e.Value);
    }

    private void AddWildcards(string name, List<Entry> found)
    {
        var suffixes = _suffix.GetAlternateLookup<ReadOnlySpan<char>>();
        var prefixes = _prefix.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var dot = name.IndexOf('.'); dot >= 0; dot = name.IndexOf('.', dot + 1))
        {
            if (suffixes.TryGetValue(name.AsSpan(dot + 1), out var below))
                found.AddRange(below);
            if (prefixes.TryGetValue(name.AsSpan(0, dot), out var above))
                found.AddRange(above);
        }
    }

    private static Dictionary<string, Entry[]> Index(List<Entry> entries, HostPatternKind kind) => entries
        .Where(e => e.Pattern.Kind == kind)
        .GroupBy(e => e.Pattern.Name, StringComparer.Ordinal)
        .ToDictionary(group => group.Key, group => group.ToArray(), StringComparer.Ordinal);

    private readonly record struct Entry(HostPattern Pattern, T Value, int Order)
    {
        public static int Compare(Entry a, Entry b)
        {
            var specificity = HostPattern.CompareSpecificity(a.Pattern, b.Pattern);
            return specificity != 0 ? specificity : a.Order.CompareTo(b.Order);
        }
    }
}
