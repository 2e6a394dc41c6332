using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Discobot.Tests.Fixtures;

/// <summary>A request of a corpus file, as bytes; the format is described in the README.md beside those files.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Expected">One status or several, for the kind of connection asked for; empty: not for that kind.</param>
/// <param name="Text">Escapes and placeholders not yet replaced.</param>
internal sealed partial record HttpCase(string Name, string Expected, string Text)
{
    /// <summary>All cases of a folder's .txt files.</summary>
    /// <param name="folder">From the top of the checkout.</param>
    /// <param name="separator">What stands between the lines of a case.</param>
    public static IEnumerable<HttpCase> Load(string folder, string separator = "") =>
        Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, folder), "*.txt").Order(StringComparer.Ordinal)
            .SelectMany(file => Read(file, separator));

    /// <summary>The statuses that are right on a <paramref name="kind"/> of connection, <c>plain</c> or <c>tunnel</c>.</summary>
    public int[] StatusesOn(string kind)
    {
        var words = Expected.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var word = words.FirstOrDefault(w => w.StartsWith(kind + ":", StringComparison.Ordinal)) ?? words.FirstOrDefault(w => !w.Contains(':', StringComparison.Ordinal));
        return word is null ? [] : [.. word.Split(':')[^1].Split('|').Select(s => int.Parse(s, CultureInfo.InvariantCulture))];
    }

    public byte[] ToBytes(string host, string origin) => ToBytes(Text, host, origin);

    /// <summary>Replaces escapes and placeholders.</summary>
    public static byte[] ToBytes(string text, string host, string origin)
    {
        text = Repeat().Replace(text, m => string.Concat(Enumerable.Repeat(m.Groups[2].Value, int.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture))));
        text = text.Replace("{host}", host, StringComparison.Ordinal).Replace("{origin}", origin, StringComparison.Ordinal);
        return Encoding.Latin1.GetBytes(Escape().Replace(text, m => m.Groups[1].Value switch
        {
            "r" => "\r",
            "n" => "\n",
            "t" => "\t",
            "0" => "\0",
            "\\" => "\\",
            var hex => ((char)int.Parse(hex.AsSpan(1), NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString(),
        }));
    }

    private static IEnumerable<HttpCase> Read(string file, string separator)
    {
        HttpCase? current = null;
        foreach (var line in File.ReadLines(file))
        {
            if (Heading().Match(line) is { Success: true } heading)
            {
                if (current is not null)
                    yield return current;
                current = new HttpCase($"{Path.GetFileNameWithoutExtension(file)}: {heading.Groups[1].Value}", heading.Groups[2].Value, "");
            }
            else if (current is not null && !line.StartsWith('#'))
            {
                current = current with { Text = Blanks().Replace(current.Text + line + separator, "") };
            }
        }

        if (current is not null)
            yield return current;
    }

    [GeneratedRegex(@"^\[(.+)\] (.+)$")]
    private static partial Regex Heading();

    [GeneratedRegex(@"(?<=\\[rn]\}?) +| +$")]
    private static partial Regex Blanks();

    [GeneratedRegex(@"\{(\d+)\*([^}]*)\}")]
    private static partial Regex Repeat();

    [GeneratedRegex(@"\\([rnt0\\]|x[0-9a-f]{2})")]
    private static partial Regex Escape();
}
