using System.Collections.Frozen;
using System.Text;

namespace Discobot.Infrastructure.Http1;

/// <summary>The text of field names. Those that most messages have need not be made anew for each.</summary>
internal static class FieldNames
{
    private static readonly FrozenDictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> Known = Both(
    [
        "Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Access-Control-Allow-Origin", "Age", "Alt-Svc", "Authorization",
        "Cache-Control", "Connection", "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Date", "ETag",
        "Expect", "Expires", "Host", "If-Modified-Since", "If-None-Match", "If-Range", "Keep-Alive", "Last-Modified", "Link", "Location", "Origin",
        "Pragma", "Proxy-Connection", "Range", "Referer", "Server", "Set-Cookie", "Strict-Transport-Security", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via", "WWW-Authenticate", "X-Cache", "X-Content-Type-Options", "X-Frame-Options",
    ]);

    public static string Text(ReadOnlySpan<byte> name)
    {
        Span<char> text = stackalloc char[32];
        return name.Length <= text.Length && Encoding.Latin1.GetChars(name, text) is var length && Known.TryGetValue(text[..length], out var known)
            ? known
            : Encoding.Latin1.GetString(name);
    }

    private static FrozenDictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> Both(string[] names) =>
        names.Concat(names.Select(static name => name.ToLowerInvariant())).Distinct().ToFrozenDictionary(static name => name, StringComparer.Ordinal)
            .GetAlternateLookup<ReadOnlySpan<char>>();
}
