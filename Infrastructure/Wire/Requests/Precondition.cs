using Microsoft.Net.Http.Headers;

namespace Discobot.Infrastructure.Wire.Requests;

/// <summary>Conditional requests, answered in place of the origin (RFC 9110, 13.2.2).</summary>
internal static class Precondition
{
    private static readonly string[] Fields = ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"];

    /// <summary>Whether the answer depends on more than the address: such a miss is the client's own business with upstream.</summary>
    public static bool IsOn(HttpRequest request) => Fields.Any(request.Headers.ContainsKey);

    /// <summary>Whether it depends on what its origin alone knows (RFC 9110, 13.1.1 and 13.1.4).</summary>
    public static bool IsForOrigin(HttpRequest request) => request.Headers.IfMatch.Count > 0 || request.Headers.IfUnmodifiedSince.Count > 0;

    /// <param name="request">The client's.</param>
    /// <param name="etag">Of what would be sent; null or empty: it has none.</param>
    /// <param name="changed">When that was changed last; null or empty: nobody knows.</param>
    /// <returns>304, 412, or 200 when the body is to be sent.</returns>
    public static int Evaluate(HttpRequest request, string? etag, string? changed)
    {
        var headers = request.Headers;
        return headers.IfMatch.Count > 0 && !Names(headers.IfMatch, etag, weak: false)
            ? StatusCodes.Status412PreconditionFailed : EvaluateStored(request, etag, changed);
    }

    /// <summary>The same of what a cache has stored, which is not asked for what is the origin's to judge (RFC 9111, 4.3.2).</summary>
    public static int EvaluateStored(HttpRequest request, string? etag, string? changed)
    {
        var headers = request.Headers;
        if (headers.IfNoneMatch.Count > 0)
            return Names(headers.IfNoneMatch, etag, weak: true) ? StatusCodes.Status304NotModified : StatusCodes.Status200OK;
        return headers.IfModifiedSince.Count == 1 && HeaderUtilities.TryParseDate(headers.IfModifiedSince[0], out var since)
            && HeaderUtilities.TryParseDate(changed, out var modified) && modified <= since
            ? StatusCodes.Status304NotModified
            : StatusCodes.Status200OK;
    }

    private static bool Names(IList<string?> field, string? etag, bool weak)
    {
        if (field is ["*"])
            return true;
        return EntityTagHeaderValue.TryParse(etag, out var actual) && EntityTagHeaderValue.TryParseList(field!, out var asked)
            && asked.Any(tag => tag.Compare(actual, useStrongComparison: !weak));
    }
}
