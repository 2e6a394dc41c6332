using System.Text;
using System.Text.RegularExpressions;

namespace Discobot.Features.Init.Workspace;

/// <summary>A program of the workspace that runs when the session starts, described by the front matter in its first lines.</summary>
/// <param name="Id">The file's name with everything but letters, digits, '.', '_' and '-' replaced.</param>
/// <param name="Name">For the log.</param>
/// <param name="Type">Only <c>session</c> runs here.</param>
/// <param name="AsRoot">Whether it asks to run as root.</param>
/// <param name="Blocking">Whether the start waits for it.</param>
internal sealed partial record SessionHook(string Id, string Name, string Type, bool AsRoot, bool Blocking)
{
    /// <summary>Reads the front matter: after the <c>#!</c> line, between two fences <c>---</c>, <c>#---</c> or <c>//---</c>.</summary>
    /// <returns>Null when the file is no hook.</returns>
    public static SessionHook? Parse(string fileName, ReadOnlySpan<byte> content)
    {
        if (fileName.StartsWith('.') || !content.StartsWith("#!"u8))
            return null;
        var lines = Encoding.UTF8.GetString(content[..Math.Min(content.Length, 8192)]).Split('\n').Select(line => line.Trim()).Skip(1).ToList();
        var open = lines.FindIndex(line => line.Length > 0);
        if (open < 0 || lines[open] is not ("---" or "#---" or "//---"))
            return null;
        var close = lines.IndexOf(lines[open], open + 1);
        if (close < 0)
            return null;
        var values = lines.GetRange(open + 1, close - open - 1).Select(Entry).OfType<(string Key, string Value)>()
            .GroupBy(e => e.Key).ToDictionary(g => g.Key, g => g.Last().Value);
        return new SessionHook(
            Odd().Replace(fileName, "_"),
            values.GetValueOrDefault("name") is { Length: > 0 } name ? name : fileName,
            values.GetValueOrDefault("type", ""),
            values.GetValueOrDefault("run_as") == "root",
            values.GetValueOrDefault("blocking") == "true");
    }

    private static (string Key, string Value)? Entry(string line)
    {
        var text = line.TrimStart('#', '/', ' ');
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 1 ? null : (text[..colon].Trim(), text[(colon + 1)..].Trim().Trim('"', '\''));
    }

    [GeneratedRegex("[^A-Za-z0-9._-]", RegexOptions.CultureInvariant)]
    private static partial Regex Odd();
}
