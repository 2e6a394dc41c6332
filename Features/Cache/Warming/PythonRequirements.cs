using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Warming;

/// <summary>requirements.txt with pinned versions, with hashes or without. What is not pinned names no files, and is told as what it is.</summary>
internal static partial class PythonRequirements
{
    private const string Index = "https://pypi.org/simple";

    public static IEnumerable<WarmItem> Read(string text)
    {
        var index = Index;
        var found = new List<WarmItem>();
        foreach (var written in Continued().Replace(text, " ").Split('\n'))
        {
            var line = Comment().Replace(written, "").Trim();
            if (IndexUrl().Match(line) is { Success: true } url)
                index = url.Groups[1].Value.TrimEnd('/');
            else if (Pinned().Match(line) is { Success: true } pinned)
                found.Add(Item(index, Normalized(pinned.Groups[1].Value), pinned.Groups[2].Value, [.. Hash().Matches(line).Select(m => m.Groups[1].Value)]));
            else if (line.Length > 0 && !line.StartsWith('-'))
                found.Add(new WarmItem(line.Split(';')[0].Trim()));
        }

        return found;
    }

    private static WarmItem Item(string index, string project, string version, string[] hashes) =>
        new($"{project}=={version}", Python: new PythonVersion($"{index}/{project}/", version, hashes));

    // PEP 503.
    private static string Normalized(string name) => Separators().Replace(name, "-").ToLowerInvariant();

    [GeneratedRegex(@"\\[ \t]*\r?\n", RegexOptions.CultureInvariant)]
    private static partial Regex Continued();

    [GeneratedRegex(@"(?:^|\s)#.*$", RegexOptions.CultureInvariant)]
    private static partial Regex Comment();

    [GeneratedRegex(@"^(?:-i|--index-url)[ =]+(\S+)$", RegexOptions.CultureInvariant)]
    private static partial Regex IndexUrl();

    [GeneratedRegex(@"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([A-Za-z0-9.!+_-]+)(?=$|[\s;])", RegexOptions.CultureInvariant)]
    private static partial Regex Pinned();

    [GeneratedRegex(@"--hash[= ]sha256:([0-9a-f]{64})", RegexOptions.CultureInvariant)]
    private static partial Regex Hash();

    [GeneratedRegex(@"[-_.]+", RegexOptions.CultureInvariant)]
    private static partial Regex Separators();
}
