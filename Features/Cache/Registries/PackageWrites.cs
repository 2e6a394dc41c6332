namespace Discobot.Features.Cache.Registries;

/// <summary>Documents that a registry changes by requests to other addresses than their own (npm's registry API).</summary>
internal static class PackageWrites
{
    /// <summary>Whether a document is asked for that is to be changed and sent back whole: one of an earlier state would take back what came later.</summary>
    public static bool IsRead(string pathAndQuery) => pathAndQuery.EndsWith("?write=true", StringComparison.Ordinal);

    /// <summary>The paths whose documents a write at a path changes, beside the path itself.</summary>
    public static IEnumerable<string> Changes(string path)
    {
        // DELETE or PUT /name/-rev/3-abc, DELETE /name/-/name-1.0.0.tgz/-rev/3-abc.
        var revision = path.IndexOf("/-rev/", StringComparison.Ordinal);
        var changed = revision > 0 ? path[..revision] : path;
        if (revision > 0)
            yield return changed;
        string? document = null;
        if (changed.IndexOf("/-/package/", StringComparison.Ordinal) is >= 0 and var services)
        {
            // PUT /-/package/name/dist-tags/beta.
            var (name, rest) = (changed[(services + "/-/package/".Length)..], changed.LastIndexOf("/dist-tags", StringComparison.Ordinal));
            if (rest > services + "/-/package/".Length)
                document = changed[..services] + "/" + name[..(rest - services - "/-/package/".Length)];
        }
        else if (changed.IndexOf("/-/", StringComparison.Ordinal) is > 0 and var file)
        {
            document = changed[..file];
        }
        else if (revision > 0 || changed.Contains("/@", StringComparison.Ordinal))
        {
            document = changed;
        }

        foreach (var tags in TagLists(document ?? changed))
            yield return tags;
        if (document is null)
            yield break;
        yield return document;
        // A scope's slash is escaped by some clients.
        var scope = document.LastIndexOf("/@", StringComparison.Ordinal);
        if (scope < 0)
            yield break;
        var scoped = document[(scope + 2)..].Replace("%2f", "/", StringComparison.OrdinalIgnoreCase);
        yield return document[..(scope + 2)] + scoped;
        yield return document[..(scope + 2)] + scoped.Replace("/", "%2f", StringComparison.Ordinal);
        yield return document[..(scope + 2)] + scoped.Replace("/", "%2F", StringComparison.Ordinal);
    }

    // GET /-/package/name/dist-tags says what a document says.
    private static IEnumerable<string> TagLists(string document)
    {
        var scope = document.LastIndexOf("/@", StringComparison.Ordinal);
        var start = scope >= 0 ? scope : document.LastIndexOf('/');
        if (start < 0 || start + 1 == document.Length)
            return [];
        var name = document[(start + 1)..].Replace("%2f", "/", StringComparison.OrdinalIgnoreCase);
        string[] spellings = scope < 0 ? [name] : [name, name.Replace("/", "%2f", StringComparison.Ordinal), name.Replace("/", "%2F", StringComparison.Ordinal)];
        return spellings.Select(spelled => $"{document[..start]}/-/package/{spelled}/dist-tags");
    }
}
