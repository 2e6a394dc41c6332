using System.Text.Json.Serialization;
using Discobot.Features.Cache.Shared;

namespace Discobot.Features.Cache;

/// <summary>Counters since the start; every method may be called from any thread.</summary>
internal sealed class CacheStats
{
    private long _hits, _misses, _stores, _evictions, _errors, _shared, _bytesServed, _offline;

    public void Hit() => Interlocked.Increment(ref _hits);

    public void Miss() => Interlocked.Increment(ref _misses);

    public void Store() => Interlocked.Increment(ref _stores);

    public void Evicted(int count) => Interlocked.Add(ref _evictions, count);

    /// <summary>A body that was not what it had to be: wrong digest, torn or altered file, a disk that refused it.</summary>
    public void Error() => Interlocked.Increment(ref _errors);

    /// <summary>A miss that needed no request of its own, since another client's download was under way.</summary>
    public void Shared() => Interlocked.Increment(ref _shared);

    public void Served(long bytes) => Interlocked.Add(ref _bytesServed, bytes);

    /// <summary>An answer given in place of a registry that could not be reached.</summary>
    public void Offline() => Interlocked.Increment(ref _offline);

    public CacheStatistics Read(CacheIndex index, long maxSize)
    {
        var (hits, misses) = (Interlocked.Read(ref _hits), Interlocked.Read(ref _misses));
        return new CacheStatistics(
            hits, misses, Interlocked.Read(ref _stores), Interlocked.Read(ref _evictions), Interlocked.Read(ref _errors), index.Size,
            hits + misses == 0 ? 0 : Math.Round((double)hits / (hits + misses), 3),
            index.Count, maxSize, Interlocked.Read(ref _shared), Interlocked.Read(ref _bytesServed), Interlocked.Read(ref _offline), index.DiskSize);
    }
}

/// <summary>The answer of <c>GET /api/cache/stats</c>: the documented fields first, ours after them.</summary>
internal sealed record CacheStatistics(
    [property: JsonPropertyName("hits")] long Hits,
    [property: JsonPropertyName("misses")] long Misses,
    [property: JsonPropertyName("stores")] long Stores,
    [property: JsonPropertyName("evictions")] long Evictions,
    [property: JsonPropertyName("errors")] long Errors,
    [property: JsonPropertyName("current_size")] long CurrentSize,
    [property: JsonPropertyName("hit_rate")] double HitRate,
    [property: JsonPropertyName("entries")] int Entries,
    [property: JsonPropertyName("max_size")] long MaxSize,
    [property: JsonPropertyName("shared")] long Shared,
    [property: JsonPropertyName("bytes_served")] long BytesServed,
    [property: JsonPropertyName("offline")] long Offline,
    [property: JsonPropertyName("disk_size")] long DiskSize)
{
    /// <summary>Of <c>cache.remote</c>; null where there is none.</summary>
    [JsonPropertyName("remote")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RemoteStatistics? Remote { get; init; }

    /// <summary>Of <c>cache.shared</c>; absent without it.</summary>
    [JsonPropertyName("shared_volume"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SharedStatistics? SharedVolume { get; init; }
}
