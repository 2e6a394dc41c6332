using System.Diagnostics.CodeAnalysis;

namespace Discobot.Features.Allowlist.Paths;

/// <summary>
/// A path as rules write it. <c>*</c> stands for anything within one segment, <c>**</c> for any number of whole segments,
/// <c>*</c> alone for every path. <c>/api/**</c> is everything below /api, and /api itself.
/// </summary>
internal sealed class PathGlob
{
    private readonly string[] _forms;

    private PathGlob(string text, string[] forms) => (Text, _forms) = (text, forms);

    /// <summary>As the user wrote it.</summary>
    public string Text { get; }

    private bool IsAny => _forms.Length == 0;

    public static bool TryParse(string text, [NotNullWhen(true)] out PathGlob? glob, [NotNullWhen(false)] out string? problem)
    {
        (glob, problem) = (null, null);
        if (text == "*")
        {
            glob = new PathGlob(text, []);
            return true;
        }

        if (text.Length > 2048 || !text.StartsWith('/'))
            problem = "must begin with /, as in /api/** or /v1/*/items, or be * alone";
        else if (text.AsSpan().ContainsAny('?', '#'))
            problem = "must be a path without query; ? and # never occur in one";
        else if (text.Split('/').Any(s => s != "**" && s.Contains("**", StringComparison.Ordinal)))
            problem = "** stands for whole segments, as in /api/** or /a/**/z";
        else if (!RequestPath.Of(text).IsClear)
            problem = "holds what servers read differently: . or .. segments, control characters, a backslash, % without two digits, or escapes within escapes within escapes";
        else
            glob = new PathGlob(text, RequestPath.OfGlob(text).Forms);
        return glob is not null;
    }

    /// <summary>
    /// Whether every form of the path matches: as sent, and as a server might understand it. A path that only matches before or only
    /// after decoding is somebody's attempt to mean two things at once.
    /// </summary>
    public bool Matches(RequestPath path)
    {
        if (IsAny)
            return true;
        if (!path.IsClear)
            return false;
        for (var i = 0; i < path.Forms.Length; i++)
        {
            if (!MatchesInEveryReading(_forms[Math.Min(i, _forms.Length - 1)], path.Forms[i]))
                return false;
        }

        return true;
    }

    /// <summary>Whether any form of the path matches, or servers read it differently: for rules that forbid.</summary>
    public bool MayMatch(RequestPath path)
    {
        if (IsAny || !path.IsClear)
            return true;
        for (var i = 0; i < path.Forms.Length; i++)
        {
            if (MatchesInSomeReading(_forms[Math.Min(i, _forms.Length - 1)], path.Forms[i]))
                return true;
        }

        return false;
    }

    /// <exception cref="FormatException">It is no glob.</exception>
    public static PathGlob Parse(string text) => TryParse(text, out var glob, out var problem) ? glob : throw new FormatException($"{text}: {problem}");

    private static bool MatchesInSomeReading(string glob, string form)
    {
        if (GlobMatcher.Matches(glob, form))
            return true;
        if (!RequestPath.HasReadings(form))
            return false;
        var (globs, forms) = (RequestPath.Readings(glob), RequestPath.Readings(form));
        for (var i = 0; i < forms.Length; i++)
        {
            if (GlobMatcher.Matches(globs[i], forms[i]))
                return true;
        }

        return false;
    }

    // The glob is read as the path is: one that was written with parameters matches them, and what is left without them.
    private static bool MatchesInEveryReading(string glob, string form)
    {
        if (!RequestPath.HasReadings(form))
            return GlobMatcher.Matches(glob, form);
        var globs = RequestPath.Readings(glob);
        var forms = RequestPath.Readings(form);
        for (var i = 0; i < forms.Length; i++)
        {
            if ((i == 0 || forms[i] != form) && !GlobMatcher.Matches(globs[i], forms[i]))
                return false;
        }

        return true;
    }

    public override string ToString() => Text;
}
