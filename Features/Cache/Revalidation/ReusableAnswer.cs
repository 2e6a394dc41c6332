using System.Buffers;
using System.Collections.Frozen;
using System.Net.Http.Headers;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>Which answers are kept (RFC 9111, 3), and what of them.</summary>
internal static class ReusableAnswer
{
    private const long MaxAbsence = 64 << 10;

    // RFC 9110, 5.6.2.
    private static readonly SearchValues<char> TokenCharacters = SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    // Statuses that we know how to keep; "must-understand" is about these (RFC 9111, 5.2.2.3).
    private static readonly FrozenSet<int> Understood = new[]
    {
        200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 500, 501, 502, 503, 504,
    }.ToFrozenSet();

    // A 304 says nothing of the bytes that are here; fields that describe them stay as they are (RFC 9111, 3.2).
    private static readonly FrozenSet<string> OfTheBytes = new[]
    {
        "Content-Length", "Content-Encoding", "Content-Range", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "ETag",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    public static bool Is(HttpResponseMessage response, CacheRule rule, CacheControl wishes, CacheOptions options)
    {
        var (status, control) = ((int)response.StatusCode, CacheControl.Of(response));
        if (wishes.Has("no-store") || !IsReadable(response) || response.Content.Headers.ContentLength > options.MaxSize || !HasEnd(response))
            return false;
        if (status is < 200 or 205 or 206 or 304 || (rule.Ecosystem is not null && status != 200 && !IsAbsence(response, rule)))
            return false;
        if (control.Has("must-understand") ? !Understood.Contains(status) : StorableAnswer.Forbids(response, "no-store"))
            return false;
        // Where it leads ends with the signature, which is to be written nowhere.
        if (RedirectMemory.IsRedirect(status) && Location(response) is { } location && CountedQuery.Unsigned(location) != location)
            return false;
        if (StorableAnswer.Forbids(response, "private") || Vary(response).Split(',').Any(v => v.Trim() == "*"))
            return false;
        return Freshness.IsGuessable(status) || control.Has("public") || control.Has("s-maxage") || control.Has("max-age")
            || response.Content.Headers.NonValidated.Contains("Expires");
    }

    /// <summary>
    /// The fields that are kept. A cookie is for the client that it was set for. Under a rule of the configuration's that leaves an address to its origin
    /// it is for all whom the origin lets answer so, by a lifetime in Cache-Control (RFC 9111, 7.3), if whoever asked was nobody in particular.
    /// </summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Fields(IReadOnlyList<KeyValuePair<string, string>> all, CacheRule rule, bool isAnonymous) =>
        EndToEnd.Storable(all, cookies: isAnonymous && rule.IsTheOrigins && IsForAnybody(all));

    /// <summary>The record for somebody who is known to its origin, by a cookie or a credential: what was set for nobody in particular would take that away.</summary>
    public static EntryMetadata WithoutCookies(EntryMetadata record) => record with { Headers = EndToEnd.Storable(record.Headers, cookies: false) };

    private static bool IsForAnybody(IEnumerable<KeyValuePair<string, string>> fields)
    {
        var control = CacheControl.Parse(fields.Where(h => h.Key.Equals("Cache-Control", StringComparison.OrdinalIgnoreCase)).Select(h => h.Value));
        return (control.Seconds("s-maxage") ?? control.Seconds("max-age")) > 0 && !control.Has("no-cache");
    }

    /// <summary>Whether what the origin says of caches can be read at all: who cannot tell by what it was chosen, or sees what no field may hold, keeps nothing.</summary>
    public static bool IsReadable(HttpResponseMessage response) =>
        Vary(response).Split(',').All(name => !name.AsSpan().Trim(" \t").ContainsAnyExcept(TokenCharacters))
        && !(response.Headers.NonValidated.TryGetValues("Cache-Control", out var values) && values.Any(v => v.Any(c => c is (< ' ' and not '\t') or '\x7f')));

    // That a document of a package registry is not there is kept for the time when that is away, if it is not said at length.
    private static bool IsAbsence(HttpResponseMessage response, CacheRule rule) =>
        (int)response.StatusCode is 404 or 410 && rule.Mode == CacheMode.Revalidate && response.Content.Headers.ContentLength is null or <= MaxAbsence;

    /// <summary>Where a redirect leads; null where it does not say so, or says it twice.</summary>
    public static string? Location(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("Location", out var values) && values.Count == 1 ? values.ToString() : null;

    public static string Vary(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("Vary", out var values) ? string.Join(',', values) : "";

    /// <summary>The record after its origin has confirmed it.</summary>
    public static EntryMetadata Confirmed(EntryMetadata record, HttpResponseMessage response, DateTimeOffset asked, DateTimeOffset answered)
    {
        var news = EndToEnd.Storable(EndToEnd.Headers(response), cookies: true).Where(h => !OfTheBytes.Contains(h.Key)).ToArray();
        var names = news.Select(h => h.Key).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return record with
        {
            Headers = [.. record.Headers.Where(h => !names.Contains(h.Key)), .. news],
            StoredAt = answered.ToUnixTimeMilliseconds(),
            InitialAge = Freshness.InitialAge(response, asked, answered),
        };
    }

    /// <summary>Whether a 304 speaks of what is stored, and not of what another cache on the way has.</summary>
    public static bool Confirms(EntryMetadata record, HttpResponseMessage response) =>
        response.Headers.ETag is not { } tag || record.ETag is not { } stored
        || (EntityTagHeaderValue.TryParse(stored, out var own) && own.Tag == tag.Tag);

    // RFC 9112, 6.3: without length or chunks the body ends with the connection, however that ended.
    private static bool HasEnd(HttpResponseMessage response) =>
        (int)response.StatusCode == 204 || response.Content.Headers.ContentLength is not null || response.Headers.TransferEncodingChunked == true || response.Version.Major >= 2;
}
