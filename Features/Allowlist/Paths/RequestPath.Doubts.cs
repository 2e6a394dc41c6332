namespace Discobot.Features.Allowlist.Paths;

/// <summary>What servers read differently: what no rule can judge, and what it judges in each reading.</summary>
internal sealed partial class RequestPath
{
    private static bool IsDoubtful(string form) =>
        form.AsSpan().ContainsAnyInRange('\0', '\x1f') || form.Contains('\x7f', StringComparison.Ordinal) || HasOverlong(form) || HasDotSegment(form);

    // Overlong UTF-8 is a dot or a slash to decoders that do not check (RFC 3629, 10): "%C0%AE", "%E0%80%AE", "%F0%80%80%AE" and on.
    private static bool HasOverlong(string bytes)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            var next = i + 1 < bytes.Length ? bytes[i + 1] : '\0';
            if (bytes[i] is '\u00c0' or '\u00c1' || (next >= '\u0080' && next < bytes[i] switch
            {
                '\u00e0' => '\u00a0',
                '\u00f0' => '\u0090',
                '\u00f8' => '\u0088',
                '\u00fc' => '\u0084',
                _ => '\0',
            }))
                return true;
        }

        return false;
    }

    // "." and ".." (RFC 3986, 5.2.4), with parameters or without. Clients resolve them before they ask. Where they lead, servers disagree:
    // "/api/../b//../api" is /api to those that drop empty segments and /b/api to others, and so with "..;x" and "..\". A decoded "?" or "#"
    // ends the path for some (Readings), and then what is before it is the segment.
    private static bool HasDotSegment(string path)
    {
        foreach (var range in path.AsSpan().SplitAny('/', '\\'))
        {
            var segment = path.AsSpan()[range];
            var name = segment.IndexOfAny(";?#") is >= 0 and var end ? segment[..end] : segment;
            if (name is "." or "..")
                return true;
        }

        return false;
    }

    /// <summary>
    /// What else a server may take a form for: its beginning, if a decoded "#" begins a fragment for it or a decoded "?" the query; and its segments without their parameters (";", RFC 3986, 3.3), which servlets cut off.
    /// </summary>
    /// <returns>Always as many, in this order, whether they differ from <paramref name="form"/> or not.</returns>
    public static string[] Readings(string form)
    {
        string[] ends = [form, Before(form, "#"), Before(form, "?"), Before(form, "#?")];
        return [.. ends, .. ends.Select(WithoutParameters)];
    }

    /// <summary>Whether <see cref="Readings"/> has to be asked.</summary>
    public static bool HasReadings(string form) => form.AsSpan().ContainsAny("#?;");

    private static string Before(string form, string marks) => form.AsSpan().IndexOfAny(marks) is >= 0 and var end ? form[..end] : form;

    private static string WithoutParameters(string form) =>
        form.Contains(';', StringComparison.Ordinal) ? Normalize(string.Join('/', form.Split('/').Select(WithoutParameter))) : form;

    private static string WithoutParameter(string segment)
    {
        var name = Before(segment, ";");
        return name.Length < segment.Length && segment[^1] == GlobMatcher.Below ? name + GlobMatcher.Below : name;
    }

    // "#" and "\" are in no path (RFC 3986, 3.3): one ends it for some, the other is a slash. "%zz" and "%u002e": some drop the mark, some keep it,
    // some decode it their own way. In what is decoded already they are characters like others.
    private static bool IsNoPath(string asSent)
    {
        if (asSent.AsSpan().ContainsAny('#', '\\'))
            return true;
        for (var i = asSent.IndexOf('%', StringComparison.Ordinal); i >= 0; i = asSent.IndexOf('%', i + 1))
        {
            if (!TryEscape(asSent, i, out _))
                return true;
        }

        return false;
    }
}
