namespace Discobot.Infrastructure.Wire.Flows;

/// <summary>The words for what is told of a flow, the same everywhere.</summary>
internal static class FlowWords
{
    public static string Of(FlowCache cache) => cache switch
    {
        FlowCache.Hit => "hit",
        FlowCache.Miss => "miss",
        FlowCache.Revalidated => "revalidated",
        FlowCache.Stale => "stale",
        _ => "none",
    };

    public static string Of(FlowVerdict verdict) => verdict switch
    {
        FlowVerdict.Blocked => "blocked",
        FlowVerdict.Refused => "refused",
        _ => "allowed",
    };
}
