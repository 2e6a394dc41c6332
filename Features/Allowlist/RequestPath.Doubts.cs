namespace Discobot.Features.Allowlist;

/// <summary>What servers read differently, so that no rule can say what it means.</summary>
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
    // "/api/../b//../api" is /api to those that drop empty segments and /b/api to others, and so with "..;x" and "..\".
    private static bool HasDotSegment(string path)
    {
        foreach (var range in path.AsSpan().SplitAny('/', '\\'))
        {
            var segment = path.AsSpan()[range];
            var name = segment.IndexOf(';') is >= 0 and var semicolon ? segment[..semicolon] : segment;
            if (name is "." or "..")
                return true;
        }

        return false;
    }
}
