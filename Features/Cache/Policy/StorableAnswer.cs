using System.Net;
using System.Net.Http.Headers;

namespace Discobot.Features.Cache.Policy;

/// <summary>Which answers are stored. Their length and digest are judged later, when the body is complete.</summary>
internal static class StorableAnswer
{
    /// <summary>
    /// True for a 200 without content coding and without <c>no-store</c>, not larger than the cache. Where the address does not name the content,
    /// also: for everybody and at any time (no <c>private</c>, no <c>no-cache</c>), no cookie, nothing negotiated, and an end that can be told
    /// from a broken connection.
    /// </summary>
    /// <remarks>
    /// An answer to a request with Authorization is stored too (RFC 9111, 3.5 would ask for permission): the cache belongs to one container,
    /// and whoever may use the proxy may have what came through it. That is what makes a pull work while the registry, and with it the judge of
    /// tokens, is away.
    /// </remarks>
    public static bool Is(CacheTarget target, HttpResponseMessage response, CacheOptions options)
    {
        if (response.StatusCode != HttpStatusCode.OK || response.Content.Headers.ContentLength > options.MaxSize
            || !Tokens(response.Content.Headers, "Content-Encoding").All(c => c.Equals("identity", StringComparison.OrdinalIgnoreCase)))
            return false;
        return target.Expected is not null ? !Forbids(response, "no-store") : IsPlain(response);
    }

    /// <summary>
    /// Whether Cache-Control says so, however badly: the tokens are looked for in the field as it came, since a parser that gives up at a malformed
    /// directive would lose those beside it. Where one stands inside a quoted argument, that is a refusal too many and no harm.
    /// </summary>
    public static bool Forbids(HttpResponseMessage response, string directive) =>
        response.Headers.NonValidated.TryGetValues("Cache-Control", out var values)
        && values.Any(v => v.Contains(directive, StringComparison.OrdinalIgnoreCase));

    private static bool IsPlain(HttpResponseMessage response)
    {
        if (Forbids(response, "no-store") || Forbids(response, "private") || Forbids(response, "no-cache") || IsMalformed(response)
            || response.Headers.NonValidated.Contains("Set-Cookie")
            || !Tokens(response.Headers, "Vary").All(v => v.Equals("Accept-Encoding", StringComparison.OrdinalIgnoreCase)))
            return false;

        // RFC 9112, 6.3: without length or chunks the body ends with the connection, however that ended.
        return response.Content.Headers.ContentLength is not null || response.Headers.TransferEncodingChunked == true
            || response.Version.Major >= 2;
    }

    // Whoever cannot read what an origin wishes refuses to store (RFC 9111, 4.2.1 says so of lifetimes).
    private static bool IsMalformed(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("Cache-Control", out var values)
        && !CacheControlHeaderValue.TryParse(string.Join(", ", values), out _);

    private static IEnumerable<string> Tokens(HttpHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out var values)
            ? values.SelectMany(v => v.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            : [];
}
