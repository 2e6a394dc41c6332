using System.Text;

namespace Discobot.Features.Cache.Warming;

/// <summary>go.sum: for each module the files that the module proxy has of it.</summary>
internal static class GoSum
{
    private const string Proxy = "https://proxy.golang.org";

    public static IEnumerable<WarmItem> Read(string text)
    {
        var modules = new Dictionary<(string Path, string Version), bool>();
        var (mods, zips) = (new Dictionary<(string Path, string Version), string>(), new Dictionary<(string Path, string Version), string>());
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var path, var version, var hash])
                throw new FormatException($"\"{line}\" is no line of a go.sum");
            const string modOnly = "/go.mod";
            var key = (path, version.EndsWith(modOnly, StringComparison.Ordinal) ? version[..^modOnly.Length] : version);
            (version.EndsWith(modOnly, StringComparison.Ordinal) ? mods : zips)[key] = hash;
            modules[key] = modules.GetValueOrDefault(key) || !version.EndsWith(modOnly, StringComparison.Ordinal);
        }

        return [.. modules.Select(m => new WarmItem($"{m.Key.Path}@{m.Key.Version}", Files:
            [.. (m.Value ? (string[])[".info", ".mod", ".zip"] : [".mod"]).Select(suffix => new WarmFile(
                $"{Proxy}/{Escaped(m.Key.Path)}/@v/{Escaped(m.Key.Version)}{suffix}", AcceptEncoding: "gzip", UserAgent: "Go-http-client/1.1",
                Integrity: suffix switch { ".mod" => mods.GetValueOrDefault(m.Key), ".zip" => zips.GetValueOrDefault(m.Key), _ => null }))]))];
    }

    // golang.org/x/mod/module, EscapePath: capitals as "!" and the small letter.
    private static string Escaped(string path)
    {
        var escaped = new StringBuilder(path.Length);
        foreach (var c in path)
            _ = char.IsAsciiLetterUpper(c) ? escaped.Append('!').Append(char.ToLowerInvariant(c)) : escaped.Append(c);
        return escaped.ToString();
    }
}
