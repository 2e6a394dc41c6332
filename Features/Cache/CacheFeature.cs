using Discobot.Infrastructure;

namespace Discobot.Features.Cache;

/// <summary>The cache of container images: answers what is stored, stores what may be, and stands in for registries that are away.</summary>
internal static class CacheFeature
{
    public static IServiceCollection AddCache(this IServiceCollection services, CacheOptions options) => services
        .AddSingleton(new Live<CacheRules>(new CacheRules(options)))
        .AddSingleton(TimeProvider.System)
        .AddSingleton<CacheStats>()
        .AddSingleton<CacheStore>()
        .AddSingleton<Fills>()
        .AddSingleton<CacheHits>()
        .AddSingleton<CacheMisses>()
        .AddSingleton<RedirectMemory>()
        .AddSingleton<AbsentRegistry>()
        .AddSingleton<CacheScrub>()
        .AddSingleton<ContentCache>()
        .AddHostedService<CacheLifetime>();

    /// <summary>After the request gate, before the forwarding.</summary>
    public static IApplicationBuilder UseCache(this IApplicationBuilder app) => app.UseMiddleware<CacheMiddleware>();
}
