using System.Text.Json.Serialization;

namespace Discobot.Features.Cache;

/// <summary>The cache's part of the REST API.</summary>
internal static class CacheEndpoints
{
    /// <summary><c>GET /api/cache/stats</c> shows the counters, <c>DELETE /api/cache</c> empties the cache.</summary>
    public static void MapCache(this IEndpointRouteBuilder endpoints)
    {
        var cache = endpoints.ServiceProvider.GetRequiredService<ContentCache>();
        RequestDelegate show = context => context.Response.WriteAsJsonAsync(cache.Statistics(), CacheJson.Default.CacheStatistics);
        RequestDelegate clear = async context =>
        {
            await cache.ClearAsync(context.RequestAborted);
            await context.Response.WriteAsJsonAsync(new CacheCleared("ok"), CacheJson.Default.CacheCleared);
        };
        endpoints.MapGet("/api/cache/stats", show);
        endpoints.MapDelete("/api/cache", clear);
        endpoints.MapContents();
        endpoints.MapWarming();
    }
}

internal sealed record CacheCleared([property: JsonPropertyName("status")] string Status);

[JsonSerializable(typeof(CacheStatistics))]
[JsonSerializable(typeof(CacheCleared))]
[JsonSerializable(typeof(CacheFindings))]
internal sealed partial class CacheJson : JsonSerializerContext;
