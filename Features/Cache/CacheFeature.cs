using Discobot.Features.Cache.Revalidation;
using Discobot.Features.Cache.Shared;
using Discobot.Infrastructure;

namespace Discobot.Features.Cache;

/// <summary>The cache of container images: answers what is stored, stores what may be, and stands in for registries that are away.</summary>
internal static class CacheFeature
{
    /// <param name="services">Where it is registered.</param>
    /// <param name="options">What is in force at the start.</param>
    /// <param name="silence">How long an upstream may send nothing; zero for as long as it likes.</param>
    public static IServiceCollection AddCache(this IServiceCollection services, CacheOptions options, TimeSpan silence) => services
        .AddShared(options)
        .AddSingleton(new CacheLimits(silence == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : silence))
        .AddSingleton(new Live<CacheRules>(new CacheRules(options)))
        .AddSingleton(TimeProvider.System)
        .AddSingleton<CacheStats>()
        .AddCacheCounts()
        .AddSingleton<CacheStore>()
        .AddSingleton<BodyTiers>()
        .AddSingleton<DigestProof>()
        .AddSingleton<TierAnswers>()
        .AddSingleton<Fills>()
        .AddSingleton<CacheHits>()
        .AddSingleton<CacheMisses>()
        .AddSingleton<RedirectMemory>()
        .AddSingleton<AbsentRegistry>()
        .AddSingleton<OriginProof>()
        .AddSingleton<StaleTags>()
        .AddSingleton<Variants>()
        .AddSingleton<IndexHashes>()
        .AddSingleton<CredentialDigest>()
        .AddSingleton<OriginReach>()
        .AddSingleton<DocumentSets>()
        .AddSingleton<PackageRedirects>()
        .AddSingleton<HeadAnswers>()
        .AddSingleton<Revalidator>()
        .AddSingleton<Invalidation>()
        .AddSingleton<CacheScrub>()
        .AddSingleton<ContentCache>()
        .AddSingleton<CacheListing>()
        .AddHostedService<CacheLifetime>();

    private static IServiceCollection AddShared(this IServiceCollection services, CacheOptions options) =>
        options is not { Enabled: true, Shared: { } directory } ? services : services
            .AddSingleton(new SharedVolume(directory))
            .AddSingleton<SharedCounters>()
            .AddSingleton<VolumeAccess>()
            .AddSingleton<SharedBodies>()
            .AddSingleton<IBodyTier>(provider => provider.GetRequiredService<SharedBodies>())
            .AddSingleton<SharedDownloads>()
            .AddSingleton<SharedEviction>()
            .AddHostedService(provider => provider.GetRequiredService<SharedEviction>());

    /// <summary>Registers what brings things in by itself.</summary>
    /// <param name="services">Where it is registered.</param>
    /// <param name="client">Makes a client that asks the proxy itself.</param>
    public static IServiceCollection AddWarming(this IServiceCollection services, Func<IServiceProvider, HttpClient> client) => services
        .AddSingleton(provider => new WarmClient(() => client(provider)))
        .AddSingleton<WarmStatus>()
        .AddSingleton<CacheWarmer>()
        .AddHostedService<WarmAtStart>();

    /// <summary>After the request gate, before the forwarding.</summary>
    public static IApplicationBuilder UseCache(this IApplicationBuilder app) => app.UseMiddleware<CacheMiddleware>();
}
