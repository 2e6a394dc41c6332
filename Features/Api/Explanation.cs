using Discobot.Features.Cache;
using Discobot.Features.Headers;

namespace Discobot.Features.Api;

/// <summary>The answer of <c>GET /api/explain</c>: each stage's decision in the order in which a request meets them.</summary>
/// <param name="Url">The address as the stages see it: host in its one form, path byte for byte.</param>
/// <param name="Method">As asked.</param>
/// <param name="Host">The host that rules are compared with: a lower-case name, or an address.</param>
/// <param name="Outcome">
/// What would happen: <c>blocked</c> (403), <c>asked</c> (waits for whoever watches), <c>loop</c> (508), <c>tunnelled</c> (unopened), <c>cached</c> (answered from the cache),
/// <c>revalidated</c> (from the cache once its host has confirmed it), <c>fetched</c> (from upstream, and stored if it may be), <c>forwarded</c> (to
/// upstream).
/// </param>
/// <param name="Interception"><c>plain</c> HTTP, <c>inspected</c> TLS, or <c>passthrough</c>: TLS that nobody opens.</param>
/// <param name="Allowlist">Whether it may leave.</param>
/// <param name="Address">The address that would be dialled, where the URL names one; else when it is found out.</param>
/// <param name="Cache">Null where nobody looks into the tunnel.</param>
/// <param name="Headers">Null where no rule is for the host, or nobody looks into the tunnel.</param>
/// <param name="Upstream"><c>direct</c>, or the parent proxy.</param>
internal sealed record Explanation(
    string Url,
    string Method,
    string Host,
    string Outcome,
    string Interception,
    AllowlistExplanation Allowlist,
    string Address,
    CacheExplanation? Cache,
    HeaderExplanation? Headers,
    string Upstream);

/// <param name="Mode"><c>enforce</c>, <c>ask</c>, <c>learn</c> or <c>off</c>.</param>
/// <param name="Allowed">Whether it may leave.</param>
/// <param name="Rule">The entry that decided, or a word such as <c>default</c>.</param>
/// <param name="Reason">For refusals: why, and which entry would allow it.</param>
internal sealed record AllowlistExplanation(string Mode, bool Allowed, string Rule, string? Reason);
