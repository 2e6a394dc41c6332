using Discobot.Features.Cache.Revalidation;
using Discobot.Features.Cache.Shared;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>The cache as the API and the command line see it.</summary>
internal sealed class ContentCache(CacheStore store, CacheStats stats, RedirectMemory redirects, IndexHashes hashes, Live<CacheRules> rules, TimeProvider time,
    SharedEviction? shared = null, RemoteTier? remote = null)
{
    public CacheStatistics Statistics() => stats.Read(store.Index, rules.Value.Options.MaxSize) with { SharedVolume = shared?.Statistics(), Remote = remote?.Statistics() };

    /// <summary>Empties it; the directory stays, downloads being read go on.</summary>
    public Task ClearAsync(CancellationToken cancel) => store.ClearAsync(cancel);

    /// <summary>Ends all that is stored for an address, whoever it was stored for, once what is on its way has come in.</summary>
    public async Task DropAsync(ProxiedRequest request, CancellationToken cancel)
    {
        await store.CommittedAsync().WaitAsync(cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        cancel.ThrowIfCancellationRequested();
        var current = rules.Value;
        var (own, variants) = (current.Classify(request)?.Key.Text, Variants.AddressOf(request, current.RuleOf(request, null)));
        var origin = CacheKey.OriginOf(request);
        foreach (var entry in store.Index.ToArray().Where(e => e.Origin == origin))
        {
            if (store.Describe(entry)?.Key is { } key && (key == own || key.StartsWith(variants, StringComparison.Ordinal)))
                store.Evict(entry);
        }
    }

    /// <summary>A file in the cache's directory that has no name, and is gone when it is closed.</summary>
    /// <exception cref="IOException">The disk is full or failing.</exception>
    public Stream CreateScratch()
    {
        var file = store.CreateTemporary();
        file.Delete();
        return new FileStream(file.File, FileAccess.ReadWrite);
    }

    /// <summary>What the cache would do with a request. Nothing is sent, counted or marked as used.</summary>
    public CacheExplanation Explain(string method, ProxiedRequest request)
    {
        var current = rules.Value;
        var told = Explain(method, request, current);
        // Whose they are the address does not tell.
        return told.State == "bypass" || !store.Index.ContainsKey(Variants.PrivatesOf(Variants.AddressOf(request, current.RuleOf(request, null))).Hash) ? told
            : told with { Reason = (told.Reason is { } reason ? reason + "; " : "") + "what was answered to a credential is kept for that credential alone, and its host is asked each time" };
    }

    private CacheExplanation Explain(string method, ProxiedRequest request, CacheRules current)
    {
        if (!current.Options.Enabled)
            return CacheExplanation.Bypass("cache.enabled is false");
        if (!Methods.IsGet(method) && !Methods.IsHead(method))
            return CacheExplanation.Bypass("only GET and HEAD are answered from the cache");
        if ((current.Classify(request) ?? redirects.Expect(current.Options, request, null)) is not { } target)
        {
            // Some addresses are a registry's only for its own clients, and those are not asked here.
            var any = current.RuleOf(request, new HeaderDictionary());
            return (any ?? current.RuleOf(request, null)) is { } rule
                ? new RuleExplanation(store, hashes, time).Explain(request, rule, isForAll: any is not null, Methods.IsGet(method))
                : CacheExplanation.Bypass("the path matches none of cache.patterns and cache.rules, and is no package registry's");
        }

        if (!target.Storable)
            return CacheExplanation.Miss(target, Methods.IsGet(method), isHere: false);
        if (store.Index.Peek(target) is { } entry)
            return CacheExplanation.Hit(target, entry);
        return CacheExplanation.Miss(target, Methods.IsGet(method),
            isHere: target is { Provable: true, Digest: { } digest } && store.Index.HasBody(digest.Hash),
            target.Provable ? current.Options.Shared : null, isAsked: remote is not null && target is { Provable: true, Digest: not null });
    }
}
