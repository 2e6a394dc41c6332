using System.Net;
using Discobot.Features.Allowlist;
using Discobot.Features.Allowlist.Asking;
using Discobot.Features.Cache;
using Discobot.Features.Headers;
using Discobot.Features.Interception;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Api;

/// <summary>Asks each stage what it would do with a request, in their order. Nothing is sent, not even a DNS query.</summary>
internal sealed class Explainer(
    Live<AllowlistRules> allowlist, Approvals approvals, Live<PassthroughHosts> passthrough, ContentCache cache, HeaderRewriter headers,
    OwnListeners own, ParentProxies parents)
{
    /// <summary>Waits until the values that lie in files are known.</summary>
    public ValueTask RefreshAsync(ProxiedRequest request, CancellationToken cancellation) => headers.RefreshAsync(request.Uri, cancellation);

    public Explanation Explain(string method, ProxiedRequest request)
    {
        var rules = allowlist.Value;
        var (target, isPlain) = (request.Target, request.Scheme == "http");
        var isBlind = IsBlind(passthrough.Value, request);
        var verdict = approvals.Foresee(Judge(rules, passthrough.Value, method, request), target.Host, request.Client);
        var literal = IPAddress.TryParse(target.Host, out var address) ? address : null;
        var cached = isBlind ? null : cache.Explain(method, request);
        var parent = parents.For(request.Scheme, target);
        return new Explanation(
            request.Uri.OriginalString.Split('?')[0],
            method,
            target.Host,
            verdict.Asks is not null ? "asked" : !verdict.Allowed ? "blocked"
                : literal is not null && own.Contains(new IPEndPoint(literal, target.Port)) ? "loop"
                : isBlind ? "tunnelled"
                : cached!.State switch { "hit" => "cached", "miss" => "fetched", "revalidate" => "revalidated", _ => "forwarded" },
            isPlain ? "plain" : isBlind ? "passthrough" : "inspected",
            new AllowlistExplanation(
                rules.ModeInForce, verdict.Allowed, verdict.Rule, verdict.Allowed ? null : verdict.Reason),
            literal?.ToString() ?? (parent is not null ? "resolved by the parent proxy"
                : rules.Enforces ? "resolved and judged when dialled" : "resolved when dialled"),
            cached,
            isBlind ? null : headers.Explain(method, request.Uri),
            parent?.ToString() ?? "direct");
    }

    /// <summary>Whether a request may leave, as the proxy judges it before a name is resolved.</summary>
    public static EgressVerdict Judge(AllowlistRules rules, PassthroughHosts passthrough, string method, ProxiedRequest request) =>
        IsBlind(passthrough, request) ? rules.JudgeBlindTunnel(request.Target, request.Client) : rules.JudgeRequest(request.Target, method, request.PathAndQuery, request.Client);

    private static bool IsBlind(PassthroughHosts passthrough, ProxiedRequest request) => request.Scheme != "http" && passthrough.Hosts.Contains(request.Target.Host);
}
