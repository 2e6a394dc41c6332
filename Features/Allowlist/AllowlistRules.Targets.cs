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
    public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        return _deny?.JudgeHost(host, target.Port) ?? (Enforces ? JudgeHost(host, target.Port, client) : Unasked);
    }

    /// <inheritdoc cref="IEgressPolicy.JudgeBlindTunnel"/>
    public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => JudgeBlind(target, isKnownRaw: false, client);

    /// <inheritdoc cref="IEgressPolicy.JudgeRawTunnel"/>
    public EgressVerdict JudgeRawTunnel(ConnectTarget target, string? client = null) => JudgeBlind(target, isKnownRaw: true, client);

    /// <inheritdoc cref="IEgressPolicy.JudgeRequest"/>
    public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        var query = pathAndQuery.IndexOf('?', StringComparison.Ordinal);
        var asked = new AskedPath(query < 0 ? pathAndQuery : pathAndQuery[..query], query < 0 ? "" : pathAndQuery[(query + 1)..]);
        return _deny?.JudgeRequest(host, target.Port, method, asked) ?? (Enforces ? JudgeRequest(host, target.Port, method, asked, client) : Unasked);
    }

    /// <inheritdoc cref="IEgressPolicy.JudgeAddress"/>
    public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        return _deny?.JudgeHost(host, target.Port) ?? _deny?.JudgeAddress(address, target.Port)
            ?? (Enforces ? JudgeAddress(host, target.Port, address) : Unasked);
    }

    private EgressVerdict JudgeBlind(ConnectTarget target, bool isKnownRaw, string? client)
    {
        if (!AsksHost(target, out var host))
            return Enforces ? RefuseMalformed(target.Host) : Unasked;
        return _deny?.JudgeBlind(host, target.Port) ?? (Enforces ? JudgeBlind(host, target.Port, isKnownRaw, client) : Unasked);
    }

    // False where there is no host to judge, or nobody wants to know it.
    private bool AsksHost(ConnectTarget target, out CanonicalHost host)
    {
        host = default;
        return (Enforces || _deny is not null) && CanonicalHost.TryParse(target.Host, out host);
    }
}
