namespace Discobot.Features.Allowlist.Paths;

/// <summary>Few globs for many paths: where more than <see cref="MaxSiblings"/> differ in one place, a wildcard stands there.</summary>
internal static class PathSummary
{
    /// <summary>Up to so many siblings are written out.</summary>
    public const int MaxSiblings = 4;

    /// <summary>Globs that together match every one of <paramref name="paths"/>.</summary>
    public static IReadOnlyList<string> Of(IEnumerable<string> paths)
    {
        var root = new Node();
        var all = paths.ToList();
        var escaped = all.ConvertAll(p => p.Replace("*", "%2A", StringComparison.Ordinal));
        foreach (var path in escaped)
            root.Add(path);
        // What is no path ("OPTIONS *"), or none that a glob can say, needs the glob for all.
        if (escaped.Any(p => !PathGlob.TryParse(p, out _, out _)))
            return ["*"];

        var globs = new List<string>();
        root.Write("", globs);
        var parsed = globs.ConvertAll(Parse);
        // An escaped slash is one segment as sent and two when decoded: such paths match only what spells them out.
        var rest = all.Zip(escaped).Where(p => !parsed.Any(g => g.Matches(RequestPath.Of(p.First)))).Select(p => p.Second).ToList();
        if (rest.Count > MaxSiblings)
            return ["/**"];
        globs.AddRange(rest);
        return [.. globs.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
    }

    private static PathGlob Parse(string text) =>
        PathGlob.TryParse(text, out var glob, out var problem) ? glob : throw new FormatException($"{text}: {problem}");

    private sealed class Node
    {
        private readonly SortedDictionary<string, Node> _children = new(StringComparer.Ordinal);
        private bool _isEnd;

        public void Add(string path)
        {
            var node = this;
            foreach (var segment in path.Split('/').Skip(1))
            {
                if (!node._children.TryGetValue(segment, out var child))
                    node._children[segment] = child = new Node();
                node = child;
            }

            node._isEnd = true;
        }

        public void Write(string prefix, List<string> globs)
        {
            if (_children.Count > MaxSiblings)
            {
                var flat = _children.Values.All(c => c._children.Count == 0);
                globs.Add(prefix + (flat ? "/*" : "/**"));
                return;
            }

            foreach (var (segment, child) in _children)
            {
                var path = $"{prefix}/{segment}";
                // "/a/**" says "/a" too.
                if (child._isEnd && !(child._children.Count > MaxSiblings && child._children.Values.Any(c => c._children.Count > 0)))
                    globs.Add(path);
                child.Write(path, globs);
            }
        }
    }
}
