using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Caching;

/// <summary>What a power failure leaves behind.</summary>
public sealed class CrashTests
{
    private const int Fills = 200;

    [Fact]
    public async Task Kill_9_during_200_fills_leaves_a_cache_that_serves_only_right_bytes_and_no_leftovers()
    {
        var authority = new TestAuthority();
        var blobs = new BlobOrigin { Pause = TimeSpan.FromMilliseconds(300) };
        await using var origin = await Origin.StartAsync(authority.Issue(["localhost"]), blobs.AnswerAsync);
        await using var proxy = await ProxyProcess.StartAsync(authority);
        var paths = Enumerable.Range(0, Fills).Select(number => blobs.Add(20_000 + number * 500)).ToArray();
        using var client = proxy.CreateClient();

        // Some are done, most are under way, some have not begun.
        var firstDone = Task.WhenAll(paths[..20].Select(path => client.GetByteArrayAsync(new Uri(origin.Https, path))));
        await firstDone;
        var interrupted = paths[20..].Select(path => client.GetByteArrayAsync(new Uri(origin.Https, path))).ToArray();
        while (paths.Sum(blobs.TimesAsked) < Fills / 2)
            await Task.Delay(5);
        await proxy.KillAndRestartAsync();
        await Task.WhenAll(interrupted.Select(task => task.ContinueWith(_ => { }, TaskScheduler.Default)));

        blobs.Pause = TimeSpan.Zero;
        foreach (var path in paths)
            Assert.Equal(blobs.Content(path), await client.GetByteArrayAsync(new Uri(origin.Https, path)));
        // What was complete before the crash was not fetched again.
        Assert.All(paths[..20], path => Assert.Equal(1, blobs.TimesAsked(path)));

        var stats = await CacheStats.ReadAsync(proxy.Api);
        Assert.Equal(paths.Sum(path => blobs.Content(path).LongLength), stats.CurrentSize);
        // An entry serves at once; its files take their names when they are safe on the disk.
        for (var looks = 0; Entries() < Fills && looks < 100; looks++)
            await Task.Delay(50);
        Assert.Equal(Fills, Entries());
        Assert.Empty(Directory.EnumerateFiles(proxy.CacheFolder, "*tmp*", SearchOption.AllDirectories));

        int Entries() => Directory.EnumerateFiles(proxy.CacheFolder, "*.meta", SearchOption.AllDirectories).Count();
    }
}
