using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>How long an answer may be used and how old it is (RFC 9111, 4.2), in seconds.</summary>
/// <param name="Lifetime">From the origin, or from the rule.</param>
/// <param name="Age">Since the origin made or confirmed it.</param>
internal readonly record struct Freshness(long Lifetime, long Age)
{
    private const long HeuristicLimit = 24 * 60 * 60;
    internal static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(1);

    // RFC 9110, 15.1: answers whose status alone lets a cache guess a lifetime.
    private static readonly HashSet<int> Guessable = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];

    public bool IsFresh => Lifetime > Age;

    /// <summary>Seconds past the lifetime; negative while it lasts.</summary>
    public long Staleness => Age - Lifetime;

    /// <summary>Whether an answer with this status may be kept though it says nothing of a lifetime.</summary>
    public static bool IsGuessable(int status) => Guessable.Contains(status);

    public static Freshness Of(EntryMetadata record, CacheRule rule, DateTimeOffset now)
    {
        var stored = DateTimeOffset.FromUnixTimeMilliseconds(record.StoredAt);
        // A clock that was set back says nothing of an age: the origin is asked.
        if (now < stored - ClockTolerance)
            return new(0, 0);
        var age = record.InitialAge + Math.Max(0, (long)(now - stored).TotalSeconds);
        var lifetime = LifetimeOf(record, rule);
        var control = CacheControl.Of(record);
        var strict = control.Has("must-revalidate") || control.Has("proxy-revalidate");
        if (StaleAnswer.IsInPlace(record, rule))
            return new(0, age);
        return new(record.Status == 200 ? rule.Lifetime(lifetime, strict) : lifetime, age);
    }

    /// <summary>The age that an answer had when it came (RFC 9111, 4.2.3).</summary>
    public static long InitialAge(HttpResponseMessage response, DateTimeOffset asked, DateTimeOffset answered)
    {
        var delay = Math.Max(0, (long)(answered - asked).TotalSeconds);
        var apparent = response.Headers.NonValidated.TryGetValues("Date", out var date) && HeaderUtilities.TryParseDate(date.ToString(), out var made)
            ? Math.Max(0, (long)(answered - made).TotalSeconds)
            : 0;
        return Math.Max(apparent, AgeField(response) + delay);
    }

    // One number; what is no number, or two of them, may have been old (RFC 9111, 4.2.1: doubt is staleness).
    private static long AgeField(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("Age", out var values)
            ? (values.Count == 1 ? CacheControl.DeltaSeconds(values.ToString().Trim()) : null) ?? CacheControl.Endless
            : 0;

    private static long LifetimeOf(EntryMetadata record, CacheRule rule)
    {
        var control = CacheControl.Of(record);
        if (control.Seconds("s-maxage") is { } shared)
            return shared;
        if (control.Seconds("max-age") is { } own)
            return own;
        var made = Date(record.Header("Date")) ?? DateTimeOffset.FromUnixTimeMilliseconds(record.StoredAt);
        if (record.Header("Expires") is not null)
        {
            var all = record.Headers.Where(h => h.Key.Equals("Expires", StringComparison.OrdinalIgnoreCase)).Select(h => h.Value).Distinct().ToArray();
            return all.Length == 1 && Date(all[0]) is { } expires ? Math.Max(0, (long)(expires - made).TotalSeconds) : 0;
        }

        if (!rule.MayGuess || !(IsGuessable(record.Status) || control.Has("public")))
            return 0;
        return Date(record.LastModified) is { } modified && modified < made
            ? Math.Min((long)(made - modified).TotalSeconds / 10, HeuristicLimit)
            : 0;
    }

    private static DateTimeOffset? Date(string? text) => HeaderUtilities.TryParseDate(text, out var date) ? date : null;
}
