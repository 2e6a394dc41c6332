namespace Discobot.Infrastructure.Wire.Failures;

/// <summary>An answer that the proxy itself gives in place of the upstream.</summary>
/// <param name="Status">The HTTP status: 400, 403, 408, 413, 421, 429, 431, 501, 502, 504 or 508.</param>
/// <param name="Code">A stable word for programs, sent as <c>X-Discobot-Error</c>.</param>
/// <param name="Reason">One sentence for people: what is wrong, where, and the remedy.</param>
/// <param name="Rule">For 403: the rule that decided.</param>
internal sealed record ProxyError(int Status, string Code, string Reason, string? Rule = null)
{
    /// <summary>For 429: when to ask again; null: nobody knows.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static ProxyError Blocked(EgressVerdict verdict) => new(403, "blocked", verdict.Reason, verdict.Rule);
}
