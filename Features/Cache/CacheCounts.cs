using Discobot.Infrastructure;

namespace Discobot.Features.Cache;

/// <summary>The cache's counters for telemetry. They are read as often as it reports.</summary>
internal static class CacheCounts
{
    private static readonly (string Name, string Unit, string Description, bool Grows, Func<CacheStatistics, long> Value)[] Counts =
    [
        ("hits", "{request}", "Answers from the cache.", true, s => s.Hits),
        ("misses", "{request}", "Cacheable requests that had to be fetched.", true, s => s.Misses),
        ("shared", "{request}", "Misses that joined a download under way instead of beginning one.", true, s => s.Shared),
        ("offline", "{request}", "Answers in place of a registry that could not be reached.", true, s => s.Offline),
        ("served", "By", "Bytes of cacheable bodies sent to clients, from the cache and while fetched.", true, s => s.BytesServed),
        ("stores", "{body}", "Bodies stored.", true, s => s.Stores),
        ("evictions", "{body}", "Bodies removed to make room.", true, s => s.Evictions),
        ("errors", "{error}", "Bodies that were wrong, torn or altered, and failures of the disk.", true, s => s.Errors),
        ("entries", "{body}", "Bodies in the cache.", false, s => s.Entries),
        ("size", "By", "Bytes of all bodies in the cache.", false, s => s.CurrentSize),
        ("size.max", "By", "Bytes that the cache may hold.", false, s => s.MaxSize),
    ];

    public static IServiceCollection AddCacheCounts(this IServiceCollection services)
    {
        // Whoever reports may be made before the cache is.
        foreach (var (name, unit, description, grows, value) in Counts)
        {
            services.AddSingleton(provider => new ObservedCount(
                $"discobot.cache.{name}", unit, description, grows, () => value(provider.GetRequiredService<ContentCache>().Statistics())));
        }

        return services;
    }
}
