using System.Text;
using Discobot.Features.Allowlist;

namespace Discobot.Fuzz;

/// <summary>
/// Paths under the globs of the allowlist. The first line of an input is a glob, the second a path. A path that passes for
/// <c>/api/**</c> must lie below /api for every server, however it decodes, and a naive matcher must agree on every form of it.
/// </summary>
public sealed class RequestPaths : FuzzTarget
{
    private static readonly PathGlob Below = PathGlob.TryParse("/api/**", out var glob, out _) ? glob : throw new FormatException();

    protected override string[] Words =>
    [
        "/", "/api", "/api/", "/*", "/**", "/**/", "*", "**", "..", ".", "%2e", "%2E", "%252e", "%2f", "%2F", "%5c", "\\", ";", ";x", "%3b", "%00", "%", "%2", "%25", "%c0%ae",
        "%e0%80%ae", "é", "%c3%a9", "admin", "a", "\n", "?", "#", "//", "%2a", "\ue000", "~", "%7e", "+", " ",
    ];

    protected override void Check(byte[] input)
    {
        var lines = Encoding.UTF8.GetString(input).Split('\n', 2);
        var (pattern, path) = lines.Length == 2 ? (lines[0], lines[1]) : ("/api/**", lines[0]);
        var forms = RequestPath.Of(path);
        CheckForms(forms);
        // Long ones cost more in the readings than the limit of what the product itself may take.
        if (path.Length < 800 && Below.Matches(forms))
            Assert.All(Readings(path), reading => Assert.True(reading == "/api" || reading.StartsWith("/api/", StringComparison.Ordinal), reading));
        if (path.StartsWith('/') && PathGlob.TryParse(path.Replace("*", "%2A", StringComparison.Ordinal), out var itself, out _))
            Assert.Equal(forms.IsClear, itself.Matches(forms));
        if (pattern.Length < 200 && path.Length < 400 && PathGlob.TryParse(pattern, out var glob, out _) && pattern != "*")
            CheckMatcher(pattern, glob, forms);
    }

    private static void CheckForms(RequestPath path)
    {
        Assert.InRange(path.Forms.Length, 2, 6);
        if (!path.IsClear)
            return;
        // Nothing is left to decode or to resolve: read again, it is the same.
        var last = path.Forms[^1];
        Assert.DoesNotContain(last, c => c is < ' ' or '\x7f');
        if (last.All(char.IsAscii))
            Assert.Equal(last.Length == 0 ? "/" : last, RequestPath.Of(last).Forms[^1]);
    }

    private static void CheckMatcher(string pattern, PathGlob glob, RequestPath path)
    {
        foreach (var form in path.Forms)
        {
            if (form.All(char.IsAscii) && pattern.All(char.IsAscii))
                Assert.Equal(Naive(pattern, form), GlobMatcher.Matches(GlobMatcher.Compile(pattern), form));
        }

        if (glob.Matches(path) && !pattern.EndsWith('/') && !pattern.EndsWith("**", StringComparison.Ordinal)
            && PathGlob.TryParse(pattern + "/**", out var wider, out _))
            Assert.True(wider.Matches(path), "a wider glob refuses what a narrower allows");
    }

    // Segment by segment: "**" takes any number of them, "*" anything within one. "/a/**" is /a too.
    private static bool Naive(string glob, string path)
    {
        var (g, p) = (glob.Split('/'), path.Split('/'));
        var open = g[^1] == "**" && g.Length > 1;
        var reached = new bool[p.Length + 1];
        reached[0] = true;
        foreach (var segment in open ? g[..^1] : g)
        {
            var next = new bool[p.Length + 1];
            for (var i = 0; i <= p.Length; i++)
            {
                if (segment == "**")
                    next[i] = reached[i] || (i > 0 && next[i - 1]);
                else if (i < p.Length && reached[i] && NaiveSegment(segment, p[i]))
                    next[i + 1] = true;
            }

            reached = next;
        }

        return open ? reached.AsSpan().Contains(true) : reached[p.Length];
    }

    private static bool NaiveSegment(string glob, string text)
    {
        var reached = new bool[text.Length + 1];
        reached[0] = true;
        foreach (var c in glob)
        {
            var next = new bool[text.Length + 1];
            for (var i = 0; i <= text.Length; i++)
                next[i] = c == '*' ? reached[i] || (i > 0 && next[i - 1]) : i > 0 && reached[i - 1] && text[i - 1] == c;
            reached = next;
        }

        return reached[text.Length];
    }

    /// <summary>What servers make of a path: decoded never, once or twice; overlong UTF-8, parameters, backslashes and doubled slashes read or not;
    /// cut where a fragment or a query might begin; dots resolved.</summary>
    private static IEnumerable<string> Readings(string path)
    {
        for (var choice = 0; choice < 3 * 64; choice++)
        {
            var text = path;
            for (var i = 0; i < choice / 64; i++)
                text = Decode(text);
            if ((choice & 8) != 0)
                text = LaxUtf8(text);
            if ((choice & 1) != 0)
                text = text.Replace('\\', '/');
            if ((choice & 16) != 0)
                text = text.Split('#')[0];
            if ((choice & 32) != 0)
                text = text.Split('?')[0];
            var segments = new List<string>();
            foreach (var part in text.Split('/').Skip(1))
            {
                var name = (choice & 2) != 0 ? part.Split(';')[0] : part;
                if (name == "..")
                    segments.RemoveRange(Math.Max(0, segments.Count - 1), Math.Min(1, segments.Count));
                else if (name != "." && ((choice & 4) == 0 || name.Length > 0))
                    segments.Add(name);
            }

            yield return "/" + string.Join('/', segments);
        }
    }

    private static string Decode(string text)
    {
        var bytes = new List<byte>();
        for (var i = 0; i < text.Length; i++)
        {
            var escaped = text[i] == '%' && i + 2 < text.Length && char.IsAsciiHexDigit(text[i + 1]) && char.IsAsciiHexDigit(text[i + 2]);
            bytes.Add(escaped ? Convert.FromHexString(text.AsSpan(i + 1, 2))[0] : (byte)text[i]);
            i += escaped ? 2 : 0;
        }

        return Encoding.Latin1.GetString([.. bytes]);
    }

    // As decoders did that did not count the bytes: whatever ends up below 0x80 is that character.
    private static string LaxUtf8(string bytes)
    {
        var text = new StringBuilder();
        for (var i = 0; i < bytes.Length; i++)
        {
            var more = bytes[i] switch { >= 'ü' => 5, >= 'ø' => 4, >= 'ð' => 3, >= 'à' => 2, >= 'À' => 1, _ => 0 };
            var value = bytes[i] & (more == 0 ? 0xff : 0x3f >> more);
            for (var j = 1; j <= more; j++)
                value = i + j < bytes.Length && bytes[i + j] is >= '\x80' and < '\xc0' ? value << 6 | bytes[i + j] & 0x3f : int.MaxValue >> 6;
            text.Append(more > 0 && value < 0x80 ? (char)value : bytes[i]);
            i += more > 0 && value < 0x80 ? more : 0;
        }

        return text.ToString();
    }
}
