using System.Buffers;

namespace Discobot.Features.DockerGuard;

/// <summary>
/// The target of a request as dockerd's router reads it: percent-decoded once, the version taken off. What could be read as another path by anyone
/// (dots, empty segments, a fragment, a scheme, what cannot be decoded) is refused instead of cleaned.
/// </summary>
/// <param name="Segments">Of the path, decoded; never empty ones.</param>
/// <param name="Query">Names and values in their order, decoded as Go's <c>url.ParseQuery</c> does.</param>
internal sealed record GuardedPath(IReadOnlyList<string> Segments, IReadOnlyList<KeyValuePair<string, string>> Query)
{
    private static readonly SearchValues<char> Version = SearchValues.Create("0123456789.");

    /// <summary>An endpoint is known by its first word and its last: names between them may have slashes, and dockerd's patterns for them are greedy.</summary>
    public string First => Segments.Count > 0 ? Segments[0] : "";

    public string Last => Segments[^1];

    /// <summary>The segments between the first and the last.</summary>
    public string Name => string.Join('/', Segments.Skip(1).SkipLast(1));

    /// <summary>Reads a target; null when it is none that has one reading.</summary>
    public static GuardedPath? Parse(string target)
    {
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var path = question < 0 ? target : target[..question];
        if (!path.StartsWith('/') || target.AsSpan().ContainsAny('#', '\\') || target.Any(c => c is <= ' ' or >= '\x7f'))
            return null;
        // The whole path, as Go's URL.Path is: names of images may come with %2F, and mean the same.
        if (Decode(path[1..], plusIsBlank: false) is not { } decoded || decoded.Contains('\\', StringComparison.Ordinal) || decoded.Any(char.IsControl))
            return null;
        var segments = decoded.Split('/').ToList();
        if (segments.Exists(segment => segment is "" or "." or ".."))
            return null;
        if (segments[0] is ['v', _, ..] version && !version.AsSpan(1).ContainsAnyExcept(Version))
            segments.RemoveAt(0);
        return segments.Count > 0 && ReadQuery(question < 0 ? "" : target[(question + 1)..]) is { } query ? new GuardedPath(segments, query) : null;
    }

    /// <summary>Every value of a parameter.</summary>
    public IEnumerable<string> Values(string name) => Query.Where(p => p.Key == name).Select(p => p.Value);

    private static List<KeyValuePair<string, string>>? ReadQuery(string text)
    {
        var query = new List<KeyValuePair<string, string>>();
        foreach (var part in text.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            // Go has not taken it for a separator since 1.17, and did before.
            if (part.Contains(';', StringComparison.Ordinal))
                return null;
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var name = Decode(equals < 0 ? part : part[..equals], plusIsBlank: true);
            var value = equals < 0 ? "" : Decode(part[(equals + 1)..], plusIsBlank: true);
            if (name is null || value is null)
                return null;
            query.Add(new(name, value));
        }

        return query;
    }

    // Null where a percent sign is not followed by two digits, or the bytes are no UTF-8.
    private static string? Decode(string text, bool plusIsBlank)
    {
        for (var i = text.IndexOf('%', StringComparison.Ordinal); i >= 0; i = text.IndexOf('%', i + 1))
        {
            if (i + 2 >= text.Length || !char.IsAsciiHexDigit(text[i + 1]) || !char.IsAsciiHexDigit(text[i + 2]))
                return null;
        }

        var decoded = Uri.UnescapeDataString(plusIsBlank ? text.Replace('+', ' ') : text);
        // What is no UTF-8 stays as it was: then there are more percent signs than were written as %25.
        return decoded.Count(c => c == '%') == Count(text, "%25") ? decoded : null;
    }

    private static int Count(string text, string part) => (text.Length - text.Replace(part, "", StringComparison.Ordinal).Length) / part.Length;
}
