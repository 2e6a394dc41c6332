using System.Globalization;
using System.Text;

namespace Discobot.Features.Allowlist;

/// <summary>
/// A request's path in every form in which someone on the way may read it: as sent, decoded, decoded again, with dot segments resolved.
/// </summary>
internal sealed class RequestPath
{
    // A server decodes once, a careless stack twice; what needs more than this is no path anyone asks for in good faith.
    private const int MaxDecodings = 4;

    // DEL, and the bytes with which only overlong UTF-8 begins: "%C0%AE" is a dot to decoders that do not check (RFC 3629, 10).
    private const string NeverClear = "\x7f\u00c0\u00c1";

    private RequestPath(string[] forms, bool isClear) => (Forms, IsClear) = (forms, isClear);

    /// <summary>The first is the path as sent, with escapes of unreserved characters resolved, which changes nothing (RFC 3986, 6.2.2);
    /// each further one is decoded once more and normalised. The last has nothing left to decode.</summary>
    public string[] Forms { get; }

    /// <summary>False for paths no rule should judge: with control characters, or escaped again and again.</summary>
    public bool IsClear { get; }

    /// <param name="path">Without query; <c>*</c> and the empty path are fine.</param>
    public static RequestPath Of(string path)
    {
        var escaped = EscapeBytes(path.Length == 0 ? "/" : path);
        var forms = new List<string> { Unescape(escaped, onlyUnreserved: true) };
        var decoded = escaped;
        for (var round = 0; round < MaxDecodings; round++)
        {
            decoded = Unescape(decoded, onlyUnreserved: false);
            var form = Normalize(decoded);
            forms.Add(form);
            if (form.AsSpan().ContainsAnyInRange('\0', '\x1f') || form.AsSpan().ContainsAny(NeverClear))
                return new RequestPath([.. forms], false);
            if (!HasEscape(decoded))
                return new RequestPath([.. forms], true);
        }

        return new RequestPath([.. forms], false);
    }

    // Characters beyond ASCII are bytes on the wire: their UTF-8, escaped. An asterisk is escaped too, since rules can write it only so.
    private static string EscapeBytes(string path)
    {
        path = path.Replace("*", "%2A", StringComparison.Ordinal);
        if (Ascii.IsValid(path))
            return path;
        var text = new StringBuilder(path.Length + 16);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in path.EnumerateRunes())
        {
            if (rune.IsAscii || GlobMatcher.IsMark((char)(rune.Value & 0xffff)) && rune.IsBmp)
            {
                text.Append((char)rune.Value);
                continue;
            }

            foreach (var octet in utf8[..rune.EncodeToUtf8(utf8)])
                text.Append(CultureInfo.InvariantCulture, $"%{octet:X2}");
        }

        return text.ToString();
    }

    private static string Unescape(string path, bool onlyUnreserved)
    {
        if (!path.Contains('%', StringComparison.Ordinal))
            return path;
        var text = new StringBuilder(path.Length);
        for (var i = 0; i < path.Length; i++)
        {
            if (!TryEscape(path, i, out var octet))
            {
                text.Append(path[i]);
                continue;
            }

            i += 2;
            if (!onlyUnreserved || char.IsAsciiLetterOrDigit((char)octet) || octet is (byte)'-' or (byte)'.' or (byte)'_' or (byte)'~')
                text.Append((char)octet);
            else
                text.Append(CultureInfo.InvariantCulture, $"%{octet:X2}");
        }

        return text.ToString();
    }

    private static bool HasEscape(string path)
    {
        for (var i = path.IndexOf('%', StringComparison.Ordinal); i >= 0; i = path.IndexOf('%', i + 1))
        {
            if (TryEscape(path, i, out _))
                return true;
        }

        return false;
    }

    private static bool TryEscape(string path, int at, out byte octet)
    {
        octet = 0;
        return path[at] == '%' && at + 2 < path.Length
            && byte.TryParse(path.AsSpan(at + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out octet);
    }

    // RFC 3986, 5.2.4, and what servers do beyond it: backslashes are slashes, empty segments vanish, "..;x" goes up like "..".
    private static string Normalize(string path)
    {
        var segments = new List<string>();
        var parts = path.Replace('\\', '/').Split('/');
        for (var i = 0; i < parts.Length; i++)
        {
            var semicolon = parts[i].IndexOf(';', StringComparison.Ordinal);
            var (name, last) = (semicolon < 0 ? parts[i] : parts[i][..semicolon], i == parts.Length - 1);
            if (name == ".." && segments.Count > 0)
                segments.RemoveAt(segments.Count - 1);
            if (name is "." or ".." ? last : parts[i].Length == 0 && last && segments.Count > 0)
                segments.Add("");
            else if (name is not ("." or "..") && parts[i].Length > 0)
                segments.Add(parts[i]);
        }

        return path.StartsWith('/') || path.StartsWith('\\') ? "/" + string.Join('/', segments) : string.Join('/', segments);
    }
}
