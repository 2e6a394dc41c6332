using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// The name of a record: the origin and the address on it, such as <c>registry-1.docker.io/v2/library/ubuntu/blobs/sha256:…</c>. Its SHA-256 is
/// the name of the file that holds the body; the text itself is kept in the metadata beside it.
/// </summary>
/// <param name="Text">Host and path; before them <c>http://</c> where it is not https, the port where it is not 443 or 80, after them what of
/// the query counts (<see cref="CountedQuery"/>).</param>
/// <param name="Hash">SHA-256 of <paramref name="Text"/>.</param>
internal readonly record struct CacheKey(string Text, Hash256 Hash)
{
    private const string Cleartext = "http://";

    /// <summary>Scheme, host and port: who says what the record says. Two ports of one host are two origins, and so are http and https.</summary>
    public string Origin => OriginOf(Text);

    /// <summary>The text without what follows a <c>#</c>, which no address has: for logs.</summary>
    public string Address => AddressOf(Text);

    public static string AddressOf(string text) => text.IndexOf('#', StringComparison.Ordinal) is var mark and >= 0 ? text[..mark] : text;

    public static CacheKey Of(string text) => new(text, Hash256.Of(text));

    public static string OriginOf(ProxiedRequest request) => request.Scheme == "https" ? request.Authority : Cleartext + request.Authority;

    public static string OriginOf(string text)
    {
        var host = text.StartsWith(Cleartext, StringComparison.Ordinal) ? Cleartext.Length : 0;
        return text.IndexOf('/', host) is var slash and >= 0 ? text[..slash] : text;
    }
}
