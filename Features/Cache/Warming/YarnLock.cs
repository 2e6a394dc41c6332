using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Discobot.Features.Cache.Warming;

/// <summary>
/// yarn.lock of yarn 1 (addresses and hashes of the tarballs) and of later ones, whose hashes are of archives that yarn makes of them: those say nothing of
/// what is fetched.
/// </summary>
internal static partial class YarnLock
{
    private const string Registry = "https://registry.yarnpkg.com";

    public static IEnumerable<WarmItem> Read(string text) => text.Contains("\n__metadata:", StringComparison.Ordinal) || text.StartsWith("__metadata:", StringComparison.Ordinal)
        ? ReadLater(text) : ReadFirst(text);

    // "left@^1.0.0", "@a/b@npm:left@1":   and below it, indented, one key a line.
    private static List<WarmItem> ReadFirst(string text)
    {
        if (!text.Contains("# yarn lockfile v1", StringComparison.Ordinal))
            throw new FormatException("it does not say that it is a yarn lockfile");
        var found = new List<WarmItem>();
        foreach (var entry in Entry().Split(text))
        {
            var keys = Keys().Matches(entry).DistinctBy(m => m.Groups[1].Value).ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value);
            if (entry.Split('@') is not [.. { Length: > 1 } parts] || !keys.TryGetValue("version", out var version) || !keys.TryGetValue("resolved", out var resolved))
                continue;
            var name = entry.StartsWith("\"@", StringComparison.Ordinal) || entry.StartsWith('@') ? "@" + parts[1] : parts[0].TrimStart('"');
            // The fragment is the SHA-1 of the tarball, all that the first lockfiles had.
            var (url, fragment) = resolved.Split('#', 2) is [var address, var hash] ? (address, hash) : (resolved, null);
            if (NpmLock.Tarball($"{name}@{version}", url, keys.GetValueOrDefault("integrity") ?? Integrity.OfHex("sha1", fragment), "yarn/1") is { } item)
                found.Add(item);
        }

        return found;
    }

    private static IEnumerable<WarmItem> ReadLater(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        if (stream.Documents is not [{ RootNode: YamlMappingNode root }, ..])
            throw new FormatException("it has no entries");
        foreach (var entry in root.Children.Values.OfType<YamlMappingNode>())
        {
            // "@a/b@npm:1.0.0", perhaps with "::__archiveUrl=https%3A…" behind it; workspaces, patches, git and the like come from elsewhere.
            if (entry.Children.TryGetValue("resolution", out var node) && node is YamlScalarNode { Value: { } resolution } && Resolution().Match(resolution) is { Success: true } match)
            {
                var (scope, name, version) = (match.Groups["scope"].Value, match.Groups["name"].Value, match.Groups["version"].Value);
                var archive = match.Groups["archive"] is { Success: true } given ? Uri.UnescapeDataString(given.Value)
                    // As yarn asks for it, with the slash behind the scope escaped.
                    : $"{Registry}/{(scope.Length > 0 ? scope + "%2f" : "")}{name}/-/{name}-{version}.tgz";
                if (NpmLock.Tarball($"{(scope.Length > 0 ? scope + "/" : "")}{name}@{version}", archive, null, "yarn/4") is { } item)
                    yield return item;
            }
        }
    }

    [GeneratedRegex(@"^(?=[^\s#])", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Entry();

    [GeneratedRegex("""^  (version|resolved|integrity) "?([^"\r\n]+)"?\r?$""", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Keys();

    [GeneratedRegex("^(?:(?<scope>@[^/@]+)/)?(?<name>[^/@]+)@npm:(?<version>[0-9][^:]*)(?:::(?:.*&)?__archiveUrl=(?<archive>[^&]+).*)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Resolution();
}
