namespace Discobot.Features.Cache.Revalidation;

/// <summary>What keeps an origin from saying whether a stale answer still counts.</summary>
internal enum Trouble
{
    /// <summary>No connection to it can be made.</summary>
    Away,

    /// <summary>There was a connection, and no answer came over it.</summary>
    BrokenOff,

    /// <summary>It says 502, 503 or 504, or the parent proxy does that leads to it.</summary>
    Unavailable,

    /// <summary>It says 500.</summary>
    Failing,
}

/// <summary>When a stale answer is better than none (RFC 9111, 4.2.4; RFC 5861, 4).</summary>
internal static class StaleAnswer
{
    /// <summary>How long what was not there stands in for a registry that is away. Clients go on from it to what is there: apt from InRelease to Release.</summary>
    private static readonly TimeSpan AbsenceLimit = TimeSpan.FromDays(30);

    /// <summary>Whether a record says of a package registry's address that nothing is there.</summary>
    public static bool IsAbsence(EntryMetadata record, CacheRule rule) => rule.Ecosystem is not null && record.Status is 404 or 410;

    /// <summary>Whether a record is of no document, but of what a package registry said in its place. It answers while its origin is away and never else.</summary>
    public static bool IsInPlace(EntryMetadata record, CacheRule rule) => IsAbsence(record, rule) || IsRedirect(record, rule);

    /// <summary>Whether a record says where a package registry's file lies.</summary>
    public static bool IsRedirect(EntryMetadata record, CacheRule rule) => rule.Ecosystem is not null && RedirectMemory.IsRedirect(record.Status);

    /// <summary>Whether what is stored takes the place of an answer that does not come.</summary>
    /// <param name="record">What is stored.</param>
    /// <param name="rule">Why.</param>
    /// <param name="wishes">The client's.</param>
    /// <param name="servesOffline">Whether what was installed once is to be installable again (<c>cache.offline</c>).</param>
    /// <param name="trouble">Why there is no answer.</param>
    /// <param name="now">The time.</param>
    public static bool MayStandIn(EntryMetadata record, CacheRule rule, CacheControl wishes, bool servesOffline, Trouble trouble, DateTimeOffset now)
    {
        if (IsAbsence(record, rule))
            return servesOffline && trouble == Trouble.Away && Freshness.Of(record, rule, now).Age < AbsenceLimit.TotalSeconds;
        // The registry is there, and may have sent newer documents of the same set a moment ago: the client asks it once more.
        if (rule.IsOneOfSet && trouble == Trouble.BrokenOff)
            return false;
        var isPackage = rule.Ecosystem is not null;
        var isUnreachable = trouble is Trouble.Away or Trouble.BrokenOff;
        var control = CacheControl.Of(record);
        // A redirect does not make its target a package: there its own host's word counts.
        if (servesOffline && isPackage && isUnreachable && !(rule.IsRedirected && (control.IsStrict || control.Has("no-cache"))))
            return true;
        if (control.IsStrict || control.Has("no-cache") || wishes.Has("no-cache"))
            return false;
        // RFC 9111, 4.2.4: a cache that is disconnected may. A package registry that is there and cannot serve is no better than one that is not.
        if (servesOffline && (isUnreachable || (isPackage && trouble == Trouble.Unavailable)))
            return true;
        var staleness = Freshness.Of(record, rule, now).Staleness;
        return control.Seconds("stale-if-error") >= staleness || wishes.Seconds("stale-if-error") >= staleness;
    }
}
