using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Cache;

/// <summary>The cache's stage of a request, after the allowlist: a hit ends here, a miss is fetched and stored, everything else goes on.</summary>
internal sealed class CacheMiddleware(
    RequestDelegate next, Live<CacheRules> rules, CacheStore store, CacheHits hits, CacheMisses misses, RedirectMemory redirects, AbsentRegistry absent)
{
    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
            return next(context);
        var current = rules.Value;
        var proxied = ProxiedRequest.Of(context);
        var target = redirects.Classify(current, proxied);
        if (target is null)
            return current.Options.Enabled && absent.Concerns(proxied) ? absent.AskAsync(context) : next(context);
        return context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true || request.Headers.ContainsKey("Upgrade")
            ? next(context)
            : AnswerAsync(context, proxied, target, current.Options);
    }

    private async Task AnswerAsync(HttpContext context, ProxiedRequest proxied, CacheTarget target, CacheOptions options)
    {
        if (await store.FindAsync(target, context.RequestAborted) is { } body && await hits.TrySendAsync(context, target, body))
            return;
        if (HttpMethods.IsGet(context.Request.Method))
        {
            if (await misses.TrySendAsync(context, target, options))
                return;
        }

        if (target.Storable)
            context.Response.OnStarting(() => Mark(context.Response, target, proxied));
        await next(context);
    }

    private Task Mark(HttpResponse response, CacheTarget target, ProxiedRequest proxied)
    {
        response.Headers["X-Cache"] = "MISS";
        redirects.Remember(target, proxied, response.StatusCode, response.Headers.Location);
        return Task.CompletedTask;
    }
}
