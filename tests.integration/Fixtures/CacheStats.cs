using System.Net.Http.Json;
using System.Text.Json.Serialization;

namespace Discobot.Integration.Fixtures;

/// <summary>The answer of <c>GET /api/cache/stats</c>; sizes in bytes.</summary>
internal sealed record CacheStats(
    [property: JsonPropertyName("hits")] long Hits,
    [property: JsonPropertyName("misses")] long Misses,
    [property: JsonPropertyName("stores")] long Stores,
    [property: JsonPropertyName("evictions")] long Evictions,
    [property: JsonPropertyName("errors")] long Errors,
    [property: JsonPropertyName("current_size")] long CurrentSize,
    [property: JsonPropertyName("hit_rate")] double HitRate)
{
    public static async Task<CacheStats> ReadAsync(Uri api)
    {
        using var client = new HttpClient();
        return await client.GetFromJsonAsync<CacheStats>(new Uri(api, "/api/cache/stats")) ?? throw new InvalidDataException("no statistics");
    }
}
