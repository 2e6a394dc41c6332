using System.Text;

namespace Discobot.Features.Allowlist.Paths;

/// <summary>Matches a text against a compiled glob without recursion, in time proportional to their lengths' product at worst.</summary>
internal static class GlobMatcher
{
    // Wildcards become private-use characters, so that a glob can be decoded like a path without an escaped "%2A" turning into one.
    // Paths never hold them: everything beyond ASCII is bytes there.
    private const char Star = '\ue000';
    private const char Segments = '\ue001';

    /// <summary>Ends a glob that was written with <c>/**</c>.</summary>
    public const char Below = '\ue002';

    /// <summary>Replaces the wildcards by marks. <c>**</c> must stand alone between slashes.</summary>
    public static string Compile(string glob)
    {
        // Twice any number of segments is any number of segments.
        while (glob.Contains("/**/**", StringComparison.Ordinal))
            glob = glob.Replace("/**/**", "/**", StringComparison.Ordinal);
        var compiled = new StringBuilder(glob);
        if (glob.EndsWith("/**", StringComparison.Ordinal))
            compiled.Remove(glob.Length - 3, 3).Append(Below);
        return compiled.Replace("**/", Segments.ToString()).Replace('*', Star).ToString();
    }

    public static bool Matches(ReadOnlySpan<char> glob, ReadOnlySpan<char> text)
    {
        int g = 0, t = 0;
        // Where to resume when a guess was too short: within the segment, or at the start of the next one.
        (int Glob, int Text) star = (-1, 0), segments = (-1, 0);
        while (true)
        {
            if (g < glob.Length && glob[g] == Star)
            {
                star = (++g, t);
            }
            else if (g < glob.Length && glob[g] == Segments)
            {
                segments = (++g, t);
                star.Glob = -1;
            }
            else if (g == glob.Length - 1 && glob[g] == Below && (t == text.Length || text[t] == '/'))
            {
                return true;
            }
            else if (g < glob.Length && t < text.Length && glob[g] == text[t])
            {
                (g, t) = (g + 1, t + 1);
            }
            else if (g == glob.Length && t == text.Length)
            {
                return true;
            }
            else if (star.Glob >= 0 && star.Text < text.Length && text[star.Text] != '/')
            {
                (g, t) = (star.Glob, ++star.Text);
            }
            else if (segments.Glob >= 0 && text[segments.Text..].IndexOf('/') is var slash and >= 0)
            {
                segments.Text += slash + 1;
                (g, t) = (segments.Glob, segments.Text);
                star.Glob = -1;
            }
            else
            {
                return false;
            }
        }
    }
}
