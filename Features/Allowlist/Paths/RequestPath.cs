using System.Globalization;
using System.Text;

namespace Discobot.Features.Allowlist.Paths;

/// <summary>
/// A request's path in every form in which someone on the way may read it: as sent, decoded, decoded again.
/// </summary>
internal sealed partial class RequestPath
{
    // A server decodes once, a careless stack twice; what needs more than this is no path anyone asks for in good faith.
    private const int MaxDecodings = 4;

    private RequestPath(string[] forms, bool isClear) => (Forms, IsClear) = (forms, isClear && !IsNoPath(forms[0]));

    /// <summary>The first is the path as sent, with escapes of unreserved characters resolved, which changes nothing (RFC 3986, 6.2.2);
    /// each further one is decoded once more and normalised. The last has nothing left to decode.</summary>
    public string[] Forms { get; }

    /// <summary>False for paths no rule should judge, since servers read them differently: with dot segments, overlong UTF-8, control
    /// characters, what RFC 3986 has in no path, or escaped again and again.</summary>
    public bool IsClear { get; }

    /// <param name="path">Without query; <c>*</c> and the empty path are fine.</param>
    public static RequestPath Of(string path) =>
        // An asterisk is escaped, since rules can write it only so.
        Read(EscapeBytes(path.Length == 0 ? "/" : path).Replace("*", "%2A", StringComparison.Ordinal));

    /// <summary>The forms of a glob, which go with those of the paths it matches.</summary>
    public static RequestPath OfGlob(string glob) => Read(GlobMatcher.Compile(EscapeBytes(glob)));

    private static RequestPath Read(string escaped)
    {
        var forms = new List<string> { Unescape(escaped, onlyUnreserved: true) };
        var decoded = escaped;
        for (var round = 0; round < MaxDecodings; round++)
        {
            decoded = Unescape(decoded, onlyUnreserved: false);
            var form = Normalize(decoded);
            forms.Add(form);
            if (IsDoubtful(form))
                return new RequestPath([.. forms], false);
            if (!HasEscape(decoded))
                return new RequestPath([.. forms], true);
        }

        return new RequestPath([.. forms], false);
    }

    // Characters beyond ASCII are bytes on the wire: their UTF-8, escaped.
    private static string EscapeBytes(string path)
    {
        if (Ascii.IsValid(path))
            return path;
        var text = new StringBuilder(path.Length + 16);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in path.EnumerateRunes())
        {
            if (rune.IsAscii)
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

    // What servers do to paths beyond RFC 3986: backslashes are slashes, and empty segments vanish.
    private static string Normalize(string path)
    {
        var parts = path.Replace('\\', '/').Split('/');
        var text = string.Join('/', parts.Where((part, i) => part.Length > 0 || i == 0));
        return parts.Length > 1 && parts[^1].Length == 0 ? text + "/" : text;
    }
}
