using System.Net;
using Discobot.Features.Allowlist;
using Discobot.Features.Allowlist.Asking;
using Discobot.Features.Interception;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Api;

/// <summary>What the transparent entry would do with a connection. Nothing is sent, not even a DNS query.</summary>
internal sealed class TransparentExplainer(
    Live<AllowlistRules> allowlist, Approvals approvals, Live<PassthroughHosts> passthrough, IAddressNames names, OwnListeners own, ParentProxies parents)
{
    /// <param name="destination">Where it was going.</param>
    /// <param name="asked">The name in its TLS hello.</param>
    public TransparentExplanation Explain(IPEndPoint destination, string? asked)
    {
        var rules = allowlist.Value;
        var learned = names.Find(destination.Address);
        bool Allows(ConnectTarget literal) => rules.JudgeTunnel(literal).Allowed;
        var tls = TransparentEntry.TargetOf(destination, isTls: true, asked, learned, Allows);
        var other = TransparentEntry.TargetOf(destination, isTls: false, null, learned, Allows);
        var isBlind = passthrough.Value.Hosts.Contains(tls.Host);
        var host = asked is null ? other : tls;
        return new TransparentExplanation(
            destination.ToString(),
            asked,
            learned,
            host.Host,
            Judge(tls, isBlind ? rules.JudgeBlindTunnel(tls) : rules.JudgeTunnel(tls), isBlind ? "tunnelled" : "inspected"),
            asked is null ? Judge(other, rules.JudgeRawTunnel(other), "tunnelled") : null,
            parents.For(Uri.UriSchemeHttps, host)?.ToString() ?? "direct");
    }

    private KindExplanation Judge(ConnectTarget target, EgressVerdict judged, string passes)
    {
        var verdict = approvals.Foresee(judged, target.Host);
        return new KindExplanation(
            target.ToString(),
            verdict.Asks is not null ? "asked" : !verdict.Allowed ? "blocked" : IPAddress.TryParse(target.Host, out var literal) && own.Contains(new IPEndPoint(literal, target.Port)) ? "loop" : passes,
            verdict.Rule,
            verdict.Allowed ? null : verdict.Reason);
    }
}

/// <summary>The answer of <c>GET /api/explain?transparent=…</c>.</summary>
/// <param name="Address">Where the program connected to.</param>
/// <param name="Sni">The name in the TLS hello; null: none, or no TLS.</param>
/// <param name="Learned">The name that our resolver last gave the address for; null: none lately.</param>
/// <param name="Host">Whom it is for; plain HTTP says that anew with each request.</param>
/// <param name="Tls">What becomes of it if it is TLS.</param>
/// <param name="Other">If it is neither TLS nor HTTP; null where a TLS hello was asked about.</param>
/// <param name="Upstream"><c>direct</c>, or the parent proxy.</param>
internal sealed record TransparentExplanation(
    string Address, string? Sni, string? Learned, string Host, KindExplanation Tls, KindExplanation? Other, string Upstream);

/// <param name="Target">The host that is judged, and dialled if it may be.</param>
/// <param name="Outcome"><c>blocked</c>, <c>loop</c>, <c>inspected</c> (each request in it is judged by itself), or <c>tunnelled</c> (unopened).</param>
/// <param name="Rule">The entry that decided, or a word such as <c>default</c>.</param>
/// <param name="Reason">For refusals: why, and which entry would allow it.</param>
internal sealed record KindExplanation(string Target, string Outcome, string Rule, string? Reason);
