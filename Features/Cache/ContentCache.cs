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
        if (redirects.Classify(current, request) is not { } target)
            return CacheExplanation.Bypass("the path matches none of cache.patterns and names no digest");
        if (store.Index.Peek(target) is { } entry)
            return CacheExplanation.Hit(target, entry);
        return target.Storable
            ? CacheExplanation.Miss(target, HttpMethods.IsGet(method))
            : CacheExplanation.Bypass("the path matches none of cache.patterns, and nothing with its digest is stored");
    }
}
