using System.Net;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

/// <summary>The allowlist as the wire asks it. Each question takes the rules in force once; refusals are counted, and while learning
/// what passes is remembered.</summary>
internal sealed class AllowlistPolicy(Live<AllowlistRules> live, Approvals approvals, LearnedTraffic learned, BlockMetrics blocks) : IEgressPolicy
{
    public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen))
            learned.RecordTunnel(seen);
        return blocks.Count(rules.JudgeTunnel(target, client), "no_entry");
    }

    public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen))
            learned.RecordBlindTunnel(seen);
        return blocks.Count(rules.JudgeBlindTunnel(target, client), "not_inspected");
    }

    public EgressVerdict JudgeRawTunnel(ConnectTarget target, string? client = null)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen))
            learned.RecordRawTunnel(seen, target.Port);
        return blocks.Count(rules.JudgeRawTunnel(target, client), "not_inspected");
    }

    public bool WouldPassRaw(ConnectTarget target, string? client = null) => live.Value.JudgeRawTunnel(target, client).Allowed;

    public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen))
            learned.RecordRequest(seen, method, pathAndQuery.Split('?', 2)[0]);
        return blocks.Count(rules.JudgeRequest(target, method, pathAndQuery, client), "method_or_path");
    }

    public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen) && !seen.IsLiteral)
            learned.RecordAddress(address);
        var verdict = rules.JudgeAddress(target, address);
        return blocks.Count(verdict, verdict.Rule);
    }

    public async ValueTask<Approval> AskAsync(EgressVerdict refusal, EgressQuestion question, CancellationToken cancellation)
    {
        if (refusal.Asks is null)
            return new Approval(refusal);
        var approval = await approvals.AskAsync(refusal, question, cancellation);
        blocks.Count(approval.Verdict with { Rule = AllowlistRules.Default }, "");
        return approval;
    }
}
