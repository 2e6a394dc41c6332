using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Discobot.Features.Cache.Warming;

/// <summary>Brings things into the cache before anybody needs them, several at once. What is there already costs nothing, so that a second try goes on where the first one ended.</summary>
internal sealed class CacheWarmer(WarmClient client, ContentCache cache, WarmStatus status, TimeProvider time)
{
    private const int AtOnce = 4;

    /// <summary>Tells of each item as it goes on; the last word about one is <c>stored</c>, <c>here</c> or <c>failed</c>.</summary>
    public async IAsyncEnumerable<WarmProgress> WarmAsync(
        IReadOnlyList<WarmItem> items, WarmPlatform platform, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var run = status.Begin(items.Count);
        var progress = Channel.CreateUnbounded<WarmProgress>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var work = RunAsync(items, platform, progress.Writer, stop.Token);
        try
        {
            await foreach (var step in progress.Reader.ReadAllAsync(cancel))
            {
                run.Tell(step);
                yield return step;
            }
        }
        finally
        {
            await stop.CancelAsync();
            await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RunAsync(IReadOnlyList<WarmItem> items, WarmPlatform platform, ChannelWriter<WarmProgress> progress, CancellationToken cancel)
    {
        var downloads = new WarmDownload(client, cache, time);
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel };
        try
        {
            await Parallel.ForAsync(0, items.Count, options, async (i, stop) =>
            {
                var meter = new WarmMeter(i, items[i].Name, progress, time);
                try
                {
                    await WarmAsync(items[i], downloads, platform, meter, stop);
                    meter.Done();
                }
                catch (WarmException e)
                {
                    meter.Failed(e.Message);
                }
            });
        }
        finally
        {
            progress.Complete();
        }
    }

    private static async Task WarmAsync(WarmItem item, WarmDownload downloads, WarmPlatform platform, WarmMeter meter, CancellationToken cancel)
    {
        if (item.Image is { } name)
        {
            if (!ImageReference.TryParse(name, out var image))
                throw new WarmException("that is no image's name");
            await new ImageWarming(downloads, platform).WarmAsync(image, meter, cancel);
        }
        else if (item.Python is { } version)
        {
            await new PythonWarming(downloads, platform).WarmAsync(version, meter, cancel);
        }
        else if (item.Files is { Count: > 0 } files)
        {
            foreach (var file in files)
                await downloads.StoreAsync(file, null, meter, cancel);
        }
        else
        {
            throw new WarmException("it names no file: only what is pinned to one version (name==version) can be fetched");
        }
    }
}
