using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Cache.Policy;

/// <summary>Conditional requests, answered from an entry (RFC 9110, 13.2.2).</summary>
internal static class Precondition
{
    private static readonly string[] Fields = ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"];

    /// <summary>Whether the answer depends on more than the address: such a miss is the client's own business with upstream.</summary>
    public static bool IsOn(HttpRequest request) => Fields.Any(request.Headers.ContainsKey);

    /// <returns>304, 412, or 200 when the body is to be sent.</returns>
    public static int Evaluate(HttpRequest request, EntryMetadata entry)
    {
        var headers = request.Headers;
        if (headers.IfMatch.Count > 0 && !Names(headers.IfMatch, entry.ETag, weak: false))
            return StatusCodes.Status412PreconditionFailed;
        if (headers.IfNoneMatch.Count > 0)
            return Names(headers.IfNoneMatch, entry.ETag, weak: true) ? StatusCodes.Status304NotModified : StatusCodes.Status200OK;
        // RFC 9111, 4.3.2: where the origin did not say when it was changed, when it was sent counts.
        return headers.IfModifiedSince.Count == 1 && HeaderUtilities.TryParseDate(headers.IfModifiedSince[0], out var since)
            && HeaderUtilities.TryParseDate(entry.LastModified ?? entry.Header("Date"), out var modified) && modified <= since
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
