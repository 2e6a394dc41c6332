namespace Discobot.Features.Cache.Records;

/// <summary>
/// Reads everything that is stored, once after the start and once a day, so that a bit that flipped on the disk is found before somebody needs
/// the layer it is in. At 16 MiB/s it takes 20 minutes for 20 GiB and is not felt.
/// </summary>
internal sealed class CacheScrub(CacheStore store, TimeProvider time)
{
    private const long BytesPerSecond = 16 << 20;
    private static readonly TimeSpan Settle = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Interval = TimeSpan.FromDays(1);

    /// <summary>Goes on until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        await Task.Delay(Settle, time, cancel);
        await store.Loaded.WaitAsync(cancel);
        for (var first = true; ; first = false)
        {
            foreach (var entry in store.Index.ToArray())
            {
                // What was read by a client since the start has been verified then.
                if (!first || entry.VerifiedStamp == 0)
                    await store.CheckAsync(entry, BytesPerSecond, cancel);
            }

            await Task.Delay(Interval, time, cancel);
        }
    }
}
