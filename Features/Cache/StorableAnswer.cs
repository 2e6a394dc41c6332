using System.Net;

namespace Discobot.Features.Cache;

/// <summary>Which answers are stored. Their length and digest are judged later, when the body is complete.</summary>
internal static class StorableAnswer
{
    /// <summary>
    /// True for a 200 without content coding and without <c>no-store</c>, not larger than the cache. Where the address does not name the content,
    /// also: no cookie, nothing negotiated, and an end that can be told from a broken connection.
    /// </summary>
    /// <remarks>
    /// An answer to a request with Authorization is stored too (RFC 9111, 3.5 would ask for permission): the cache belongs to one container,
    /// and whoever may use the proxy may have what came through it. That is what makes a pull work while the registry, and with it the judge of
    /// tokens, is away.
    /// </remarks>
    public static bool Is(CacheTarget target, HttpResponseMessage response, CacheOptions options)
    {
        if (!target.Storable || response.StatusCode != HttpStatusCode.OK)
            return false;
        var content = response.Content.Headers;
        if (response.Headers.CacheControl?.NoStore == true || content.ContentLength > options.MaxSize
            || content.ContentEncoding.Any(c => !c.Equals("identity", StringComparison.OrdinalIgnoreCase)))
            return false;
        return target.Digest is { IsAddress: true } || IsPlain(response);
    }

    private static bool IsPlain(HttpResponseMessage response)
    {
        if (response.Headers.NonValidated.Contains("Set-Cookie")
            || response.Headers.Vary.Any(v => !v.Equals("Accept-Encoding", StringComparison.OrdinalIgnoreCase)))
            return false;

        // RFC 9112, 6.3: without length or chunks the body ends with the connection, however that ended.
        return response.Content.Headers.ContentLength is not null || response.Headers.TransferEncodingChunked == true
            || response.Version.Major >= 2;
    }
}
