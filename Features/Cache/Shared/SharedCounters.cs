using System.Text.Json.Serialization;

namespace Discobot.Features.Cache.Shared;

/// <summary>What this container did with the shared directory since its start; every method may be called from any thread.</summary>
internal sealed class SharedCounters
{
    private long _read, _followed, _placed, _wrong, _takenOver, _evicted, _size, _bodies;

    public void Read() => Interlocked.Increment(ref _read);

    public void Followed() => Interlocked.Increment(ref _followed);

    public void Placed() => Interlocked.Increment(ref _placed);

    public void Wrong() => Interlocked.Increment(ref _wrong);

    public void TakenOver() => Interlocked.Increment(ref _takenOver);

    public void Evicted(int count) => Interlocked.Add(ref _evicted, count);

    /// <summary>What it held when somebody last counted.</summary>
    public void Holds(long size, long bodies)
    {
        Interlocked.Exchange(ref _size, size);
        Interlocked.Exchange(ref _bodies, bodies);
    }

    public SharedStatistics Show(string path, string? problem, bool evicts, long maxSize) => new(
        path, problem, evicts, Interlocked.Read(ref _read), Interlocked.Read(ref _followed), Interlocked.Read(ref _placed), Interlocked.Read(ref _takenOver),
        Interlocked.Read(ref _wrong), Interlocked.Read(ref _evicted), Interlocked.Read(ref _bodies), Interlocked.Read(ref _size), maxSize);
}

/// <summary>The part of <c>GET /api/cache/stats</c> about <c>cache.shared</c>.</summary>
/// <param name="Path">The directory.</param>
/// <param name="Problem">Why it is not used, or nothing written to it, at the moment; null where all is well.</param>
/// <param name="Evicts">Whether this container is the one that evicts.</param>
/// <param name="Read">Bodies that came from it.</param>
/// <param name="Followed">Those that another container was still downloading.</param>
/// <param name="Placed">Bodies that this container put there.</param>
/// <param name="TakenOver">Downloads whose owner died, and that went on here.</param>
/// <param name="Wrong">Files that were not the body that they were named for.</param>
/// <param name="Evicted">Bodies that this container evicted.</param>
/// <param name="Bodies">In it, when they were last counted.</param>
/// <param name="Size">Bytes of them.</param>
/// <param name="MaxSize"><c>cache.shared_max_size</c>.</param>
internal sealed record SharedStatistics(
    [property: JsonPropertyName("path")] string Path,
    [property: JsonPropertyName("problem")] string? Problem,
    [property: JsonPropertyName("evicts")] bool Evicts,
    [property: JsonPropertyName("read")] long Read,
    [property: JsonPropertyName("followed")] long Followed,
    [property: JsonPropertyName("placed")] long Placed,
    [property: JsonPropertyName("taken_over")] long TakenOver,
    [property: JsonPropertyName("wrong")] long Wrong,
    [property: JsonPropertyName("evicted")] long Evicted,
    [property: JsonPropertyName("bodies")] long Bodies,
    [property: JsonPropertyName("size")] long Size,
    [property: JsonPropertyName("max_size")] long MaxSize);
