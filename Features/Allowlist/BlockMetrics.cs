using Discobot.Infrastructure.Wire;
using Prometheus;

namespace Discobot.Features.Allowlist;

/// <summary>What was refused, by the kind of rule that refused it.</summary>
internal sealed class BlockMetrics(IMetricFactory metrics)
{
    private readonly Counter _blocked = metrics.CreateCounter(
        "discobot_blocked_total",
        "Refusals by the allowlist: no_entry, method_or_path, not_inspected, denied, or the kind of address a name led to.",
        ["kind"]);

    /// <summary>Counts a refusal and gives it back. One that somebody is asked about is none yet.</summary>
    /// <param name="verdict">Of the allowlist.</param>
    /// <param name="kind">What it is when the host itself has an entry.</param>
    public EgressVerdict Count(in EgressVerdict verdict, string kind)
    {
        if (verdict is { Allowed: false, Asks: null })
            _blocked.WithLabels(verdict.Rule == AllowlistRules.Default ? "no_entry" : verdict.Rule.StartsWith(AllowlistRules.Denied, StringComparison.Ordinal) ? "denied" : kind).Inc();
        return verdict;
    }
}
