using System.Text.Json.Serialization;

namespace Discobot.Features.Cache.Remote;

/// <summary>Counters of the remote store since the start; every member may be used from any thread.</summary>
internal sealed class RemoteStats
{
    private readonly long[] _counts = new long[Enum.GetValues<RemoteCount>().Length];

    public void Add(RemoteCount what, long count = 1) => Interlocked.Add(ref _counts[(int)what], count);

    public long Of(RemoteCount what) => Interlocked.Read(ref _counts[(int)what]);

    public RemoteStatistics Read(bool isAway, int waiting, long waitingBytes) => new(
        isAway, Of(RemoteCount.Hit), Of(RemoteCount.Absent), Of(RemoteCount.Denied), Of(RemoteCount.Slow), Of(RemoteCount.Unavailable), Of(RemoteCount.Wrong), Of(RemoteCount.NotAsked),
        Of(RemoteCount.BytesRead), Of(RemoteCount.Uploaded), Of(RemoteCount.BytesUploaded), Of(RemoteCount.ThereAlready), Of(RemoteCount.UploadFailed), Of(RemoteCount.Dropped), Of(RemoteCount.Refreshed), waiting, waitingBytes);
}

internal enum RemoteCount
{
    Hit,
    Absent,
    Denied,
    Slow,
    Unavailable,
    Wrong,
    NotAsked,
    BytesRead,
    Uploaded,
    BytesUploaded,
    ThereAlready,
    UploadFailed,
    Dropped,
    Refreshed,
}

/// <summary>The part <c>remote</c> of <c>GET /api/cache/stats</c>.</summary>
/// <param name="Away">Nobody is asked just now: it was away, slow or refused.</param>
/// <param name="Hits">Bodies that it began to give.</param>
/// <param name="Absent">It had them not.</param>
/// <param name="Denied">401, 403, or no credentials.</param>
/// <param name="Slow">Nothing came in time, at the beginning or in the middle.</param>
/// <param name="Unavailable">Not reached, 5xx, 429, broken off.</param>
/// <param name="Wrong">Bodies that were not what their digest says, or not as long as their origin does.</param>
/// <param name="NotAsked">It was away, and nobody waited for it.</param>
/// <param name="BytesRead">Of bodies.</param>
/// <param name="Uploads">Bodies put there.</param>
/// <param name="BytesUploaded">Of those.</param>
/// <param name="ThereAlready">Bodies that needed no upload.</param>
/// <param name="UploadFailures">Uploads that are tried again.</param>
/// <param name="Dropped">Bodies that were not to be uploaded, as too much waits, they cannot be kept for it, or the store does not take them.</param>
/// <param name="Refreshed">Bodies that the store was told of as still used.</param>
/// <param name="Waiting">Bodies that wait for their upload.</param>
/// <param name="WaitingBytes">Of those.</param>
internal sealed record RemoteStatistics(
    [property: JsonPropertyName("away")] bool Away,
    [property: JsonPropertyName("hits")] long Hits,
    [property: JsonPropertyName("absent")] long Absent,
    [property: JsonPropertyName("denied")] long Denied,
    [property: JsonPropertyName("slow")] long Slow,
    [property: JsonPropertyName("unavailable")] long Unavailable,
    [property: JsonPropertyName("wrong")] long Wrong,
    [property: JsonPropertyName("not_asked")] long NotAsked,
    [property: JsonPropertyName("bytes_read")] long BytesRead,
    [property: JsonPropertyName("uploads")] long Uploads,
    [property: JsonPropertyName("bytes_uploaded")] long BytesUploaded,
    [property: JsonPropertyName("there_already")] long ThereAlready,
    [property: JsonPropertyName("upload_failures")] long UploadFailures,
    [property: JsonPropertyName("dropped")] long Dropped,
    [property: JsonPropertyName("refreshed")] long Refreshed,
    [property: JsonPropertyName("waiting")] int Waiting,
    [property: JsonPropertyName("waiting_bytes")] long WaitingBytes);
