using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>The cache as the API and the command line see it.</summary>
internal sealed class ContentCache(CacheStore store, CacheStats stats, RedirectMemory redirects, Live<CacheRules> rules)
{
    public CacheStatistics Statistics() => stats.Read(store.Index, rules.Value.Options.MaxSize);

    /// <summary>Empties it; the directory stays, downloads being read go on.</summary>
    public Task ClearAsync(CancellationToken cancel) => store.ClearAsync(cancel);

    /// <summary>What the cache would do with a request. Nothing is sent, counted or marked as used.</summary>
    public CacheExplanation Explain(string method, ProxiedRequest request)
    {
        var current = rules.Value;
        if (!current.Options.Enabled)
            return CacheExplanation.Bypass("cache.enabled is false");
        if (!HttpMethods.IsGet(method) && !HttpMethods.IsHead(method))
            return CacheExplanation.Bypass("only GET and HEAD are answered from the cache");
        if ((current.Classify(request) ?? redirects.Expect(current.Options, request, null)) is not { } target)
        {
            return current.RuleOf(request, new HeaderDictionary()) is { } rule
                ? CacheExplanation.ByRule(Variants.AddressOf(request, rule).TrimEnd('#'), rule)
                : CacheExplanation.Bypass("the path matches none of cache.patterns and cache.rules, and is no package registry's");
        }

        if (!target.Storable)
            return CacheExplanation.Miss(target, HttpMethods.IsGet(method), isHere: false);
        if (store.Index.Peek(target) is { } entry)
            return CacheExplanation.Hit(target, entry);
        return CacheExplanation.Miss(target, HttpMethods.IsGet(method),
            isHere: target is { Provable: true, Digest: { } digest } && store.Index.OfBody(digest.Hash).Count > 0);
    }
}
