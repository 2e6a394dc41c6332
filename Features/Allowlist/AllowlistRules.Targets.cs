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
    public EgressVerdict JudgeTunnel(ConnectTarget target) =>
        !Enforces ? Unasked
        : CanonicalHost.TryParse(target.Host, out var host) ? JudgeHost(host, target.Port)
        : RefuseMalformed(target.Host);

    /// <inheritdoc cref="IEgressPolicy.JudgeBlindTunnel"/>
    public EgressVerdict JudgeBlindTunnel(ConnectTarget target) =>
        !Enforces ? Unasked
        : CanonicalHost.TryParse(target.Host, out var host) ? JudgeBlind(host, target.Port, isKnownRaw: false)
        : RefuseMalformed(target.Host);

    /// <inheritdoc cref="IEgressPolicy.JudgeRawTunnel"/>
    public EgressVerdict JudgeRawTunnel(ConnectTarget target) =>
        !Enforces ? Unasked
        : CanonicalHost.TryParse(target.Host, out var host) ? JudgeBlind(host, target.Port, isKnownRaw: true)
        : RefuseMalformed(target.Host);

    /// <inheritdoc cref="IEgressPolicy.JudgeRequest"/>
    public EgressVerdict JudgeRequest(ConnectTarget target, string method, string path) =>
        !Enforces ? Unasked
        : CanonicalHost.TryParse(target.Host, out var host) ? JudgeRequest(host, target.Port, method, path)
        : RefuseMalformed(target.Host);

    /// <inheritdoc cref="IEgressPolicy.JudgeAddress"/>
    public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) =>
        !Enforces ? Unasked
        : CanonicalHost.TryParse(target.Host, out var host) ? JudgeAddress(host, target.Port, address)
        : RefuseMalformed(target.Host);
}
