using System.Net;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

/// <summary>The wire's questions: everything passes where the rules are not enforced. Nothing is recorded or counted here.</summary>
internal sealed partial class AllowlistRules
{
    private static readonly EgressVerdict Disabled = EgressVerdict.Allow("allowlist disabled");
    private static readonly EgressVerdict Learning = EgressVerdict.Allow("allowlist learning");

    private EgressVerdict Unasked => Learns ? Learning : Disabled;

    /// <inheritdoc cref="IEgressPolicy.JudgeTunnel"/>
    public EgressVerdict JudgeTunnel(ConnectTarget target)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        return _deny?.JudgeHost(host, target.Port) ?? (Enforces ? JudgeHost(host, target.Port) : Unasked);
    }

    /// <inheritdoc cref="IEgressPolicy.JudgeBlindTunnel"/>
    public EgressVerdict JudgeBlindTunnel(ConnectTarget target) => JudgeBlind(target, isKnownRaw: false);

    /// <inheritdoc cref="IEgressPolicy.JudgeRawTunnel"/>
    public EgressVerdict JudgeRawTunnel(ConnectTarget target) => JudgeBlind(target, isKnownRaw: true);

    /// <inheritdoc cref="IEgressPolicy.JudgeRequest"/>
    public EgressVerdict JudgeRequest(ConnectTarget target, string method, string path)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        return _deny?.JudgeRequest(host, target.Port, method, path) ?? (Enforces ? JudgeRequest(host, target.Port, method, path) : Unasked);
    }

    /// <inheritdoc cref="IEgressPolicy.JudgeAddress"/>
    public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        return _deny?.JudgeHost(host, target.Port) ?? _deny?.JudgeAddress(address, target.Port)
            ?? (Enforces ? JudgeAddress(host, target.Port, address) : Unasked);
    }

    private EgressVerdict JudgeBlind(ConnectTarget target, bool isKnownRaw)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        return _deny?.JudgeBlind(host, target.Port) ?? (Enforces ? JudgeBlind(host, target.Port, isKnownRaw) : Unasked);
    }

    // False where there is no host to judge, or nobody wants to know it.
    private bool AsksHost(ConnectTarget target, out CanonicalHost host)
    {
        host = default;
        return (Enforces || _deny is not null) && CanonicalHost.TryParse(target.Host, out host);
    }
}
