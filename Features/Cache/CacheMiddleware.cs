using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Cache;

/// <summary>
/// The cache's stage of a request, after the allowlist: a hit ends here, a body that is here needs its origin's word, a miss is fetched and
/// stored, everything else goes on.
/// </summary>
internal sealed class CacheMiddleware(
    RequestDelegate next, Live<CacheRules> rules, CacheStore store, CacheHits hits, OriginProof proof, CacheMisses misses, RedirectMemory redirects,
    AbsentRegistry absent, StaleTags tags, Revalidator revalidator, PackageRedirects packages, Invalidation invalidation, UpstreamRequests requests)
{
    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        var current = rules.Value;
        if (!Methods.IsGet(request.Method) && !Methods.IsHead(request.Method))
        {
            if (current.Options.Enabled)
                invalidation.Watch(context);
            return next(context);
        }

        var proxied = ProxiedRequest.Of(context);
        if (proxied.HoldsCredential)
            return next(context);
        var classified = current.Classify(proxied);
        var isPersonal = classified is { Expected: null } && IsPersonal(context, proxied);
        var target = (isPersonal ? null : classified) ?? redirects.Expect(current.Options, proxied, null);
        if (target is null && !current.Options.Enabled)
            return next(context);
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true || HopByHop.Offers("upgrade", request.Headers.Upgrade.ToString()) is not null
            || Identity.IsProved(context))
            return next(context);
        if (target is not null)
            return AnswerAsync(context, proxied, target, current.Options);
        if (absent.Concerns(proxied))
            return absent.AskAsync(context);
        if (!PackageWrites.IsRead(proxied.PathAndQuery) && RuleOf(current, proxied, request.Headers, isPersonal) is { } rule)
            return revalidator.AskAsync(context, rule, current.Options, next);
        return StaleTags.Of(current.Options, proxied) is { } tag ? tags.AskAsync(context, tag, current.Options) : next(context);
    }

    // A signature is its bearer's credential, for as long as whoever gave it says: what may change, or names no digest, is not kept for it, unless a
    // package registry gives it to everybody.
    private CacheRule? RuleOf(CacheRules current, ProxiedRequest proxied, IHeaderDictionary fields, bool isPersonal) =>
        (isPersonal ? current.PersonalRuleOf(proxied, fields) : current.RuleOf(proxied, fields)) is { } rule
        && !CountedQuery.IsSigned(rule.Query(proxied.PathAndQuery.AsSpan(proxied.Path.Length))) ? rule
        : packages.RuleOf(proxied);

    // What an address that names no digest answers to a credential is for that credential.
    private bool IsPersonal(HttpContext context, ProxiedRequest proxied)
    {
        if (CountedQuery.IsSigned(proxied.PathAndQuery.AsSpan(proxied.Path.Length)) || context.Request.Headers.Any(field => CredentialMark.IsIn(field.Value.ToString())))
            return true;
        using var message = requests.Create(context);
        return CredentialFields.AreIn(message);
    }

    private async Task AnswerAsync(HttpContext context, ProxiedRequest proxied, CacheTarget target, CacheOptions options)
    {
        if (target.Storable && await store.FindAsync(target, context.RequestAborted) is { } body && await hits.TrySendAsync(context, target, body))
            return;
        target = redirects.Expect(options, proxied, target)!;
        // HEAD asks whether it is there, and that is its origin's to say.
        if (Methods.IsGet(context.Request.Method)
            && (await proof.TryAnswerAsync(context, target) || await misses.TrySendAsync(context, target, options)))
            return;
        context.Response.OnStarting(() => Mark(context, target, proxied));
        await next(context);
    }

    private Task Mark(HttpContext context, CacheTarget target, ProxiedRequest proxied)
    {
        var response = context.Response;
        Flow.Of(context)?.Cache = FlowCache.Miss;
        response.Headers["X-Cache"] = "MISS";
        redirects.Remember(target, proxied, response.StatusCode, response.Headers.Location);
        return Task.CompletedTask;
    }
}
