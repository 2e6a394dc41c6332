using System.Net;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

/// <summary>The allowlist as the wire asks it. Each question takes the rules in force once; learning, it remembers and allows.</summary>
internal sealed class AllowlistPolicy(Live<AllowlistRules> live, LearnedTraffic learned, BlockMetrics blocks) : IEgressPolicy
{
    private static readonly EgressVerdict Disabled = EgressVerdict.Allow("allowlist disabled");
    private static readonly EgressVerdict Learning = EgressVerdict.Allow("allowlist learning");

    public EgressVerdict JudgeTunnel(ConnectTarget target)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen))
            learned.RecordTunnel(seen);
        if (!rules.Enforces)
            return Unasked(rules);
        var verdict = CanonicalHost.TryParse(target.Host, out var host)
            ? rules.JudgeHost(host)
            : AllowlistRules.RefuseMalformed(target.Host);
        return blocks.Count(verdict, "no_entry");
    }

    public EgressVerdict JudgeBlindTunnel(ConnectTarget target)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen))
            learned.RecordBlindTunnel(seen);
        if (!rules.Enforces)
            return Unasked(rules);
        var verdict = CanonicalHost.TryParse(target.Host, out var host)
            ? rules.JudgeBlind(host)
            : AllowlistRules.RefuseMalformed(target.Host);
        return blocks.Count(verdict, "not_inspected");
    }

    public EgressVerdict JudgeRequest(ConnectTarget target, string method, string path)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen))
            learned.RecordRequest(seen, method, path);
        if (!rules.Enforces)
            return Unasked(rules);
        var verdict = CanonicalHost.TryParse(target.Host, out var host)
            ? rules.JudgeRequest(host, method, path)
            : AllowlistRules.RefuseMalformed(target.Host);
        return blocks.Count(verdict, "method_or_path");
    }

    public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address)
    {
        var rules = live.Value;
        if (rules.Learns && CanonicalHost.TryParse(target.Host, out var seen) && !seen.IsLiteral)
            learned.RecordAddress(address);
        if (!rules.Enforces)
            return Unasked(rules);
        var verdict = CanonicalHost.TryParse(target.Host, out var host)
            ? rules.JudgeAddress(host, address)
            : AllowlistRules.RefuseMalformed(target.Host);
        return blocks.Count(verdict, verdict.Rule);
    }

    private static EgressVerdict Unasked(AllowlistRules rules) => rules.Learns ? Learning : Disabled;
}
