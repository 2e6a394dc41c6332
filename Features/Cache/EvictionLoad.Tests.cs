using System.Net;
using System.Net.Http.Headers;

namespace Discobot.Features.Cache;

/// <summary>Many clients of a working set that is several times as large as the cache: evicted is what others read, download and ask for at that moment.</summary>
public sealed class EvictionLoadTests : IAsyncLifetime
{
    private const int Clients = 16;
    private const int RequestsOfEach = 60;
    private const int Largest = 256 << 10;
    private const long MaxSize = 4L << 20;
    private CacheStage _stage = null!;
    private byte[][] _bodies = [];

    public async Task InitializeAsync()
    {
        // 128 bodies from a few bytes, which are kept in memory, to the largest: four times the cache.
        _bodies = [.. Enumerable.Range(1, 128).Select(i => TemporaryCache.Body(Largest * i / 128 - (i % 7)))];
        Assert.InRange(_bodies.Sum(body => (long)body.Length), 4 * MaxSize - Largest, long.MaxValue);
        _stage = await CacheStage.StartAsync(options => options with { MaxSize = MaxSize });
        _stage.Serve(_bodies);
    }

    public Task DisposeAsync() => _stage.DisposeAsync().AsTask();

    [Fact]
    public async Task Every_body_is_right_the_disk_holds_no_more_than_it_may_and_what_is_on_its_way_and_nothing_is_left_behind()
    {
        using var over = new CancellationTokenSource();
        var largest = WatchDiskAsync(over.Token);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(() => FetchAsync(new Random(client)))));
        await _stage.Store.CommittedAsync();
        // Whoever left early left a download behind, which is finished without them.
        await CacheStage.EventuallyAsync(() => !_stage.Files.Files().Any(IsTemporary));
        await over.CancelAsync();

        // Each client has one body on its way at most; one that it has left may still be coming in beside the next.
        Assert.InRange(await largest, MaxSize / 2, MaxSize + (2 * Clients * Largest));
        Assert.InRange(DiskUse(), MaxSize / 2, MaxSize);
        var stats = _stage.Stats;
        Assert.InRange(stats.DiskSize, MaxSize / 2, MaxSize);
        Assert.InRange(stats.Evictions, 1, stats.Stores);
        Assert.InRange(stats.Hits, 1, Clients * RequestsOfEach);
        Assert.Equal(0, stats.Errors);

        // Of what was evicted nothing is open any more, and of the rest nothing once it is gone.
        await CacheStage.EventuallyAsync(() => !Open().Any(file => file.EndsWith(" (deleted)", StringComparison.Ordinal)));
        await _stage.Cache.ClearAsync(CancellationToken.None);
        await CacheStage.EventuallyAsync(() => !Open().Any());
        Assert.Empty(_stage.Files.Files());
    }

    private async Task FetchAsync(Random random)
    {
        for (var request = 0; request < RequestsOfEach; request++)
        {
            var body = _bodies[random.Next(_bodies.Length)];
            var from = request % 4 == 1 ? random.Next(body.Length) : 0;
            using var response = await _stage.GetAsync(_stage.Blob(body), r => r.Headers.Range = from > 0 ? new RangeHeaderValue(from, null) : null);
            Assert.Equal(from > 0 ? HttpStatusCode.PartialContent : HttpStatusCode.OK, response.StatusCode);
            // Some leave when the answer has begun.
            if (request % 10 == 9)
                continue;
            Assert.Equal(body[from..], await response.Content.ReadAsByteArrayAsync());
        }
    }

    private async Task<long> WatchDiskAsync(CancellationToken over)
    {
        var largest = 0L;
        while (!over.IsCancellationRequested)
        {
            largest = Math.Max(largest, DiskUse());
            await Task.Delay(5, CancellationToken.None);
        }

        return largest;
    }

    private long DiskUse() => _stage.Files.Files().Sum(name => new FileInfo(Path.Join(_stage.Files.Dir, name)) is { Exists: true } file ? LengthOf(file) : 0);

    private static long LengthOf(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (FileNotFoundException)
        {
            return 0;
        }
    }

    private static bool IsTemporary(string name) => name.EndsWith(".part", StringComparison.Ordinal);

    private IEnumerable<string> Open() => Directory.GetFiles("/proc/self/fd").Select(file => new FileInfo(file).LinkTarget ?? "")
        .Where(file => file.StartsWith(_stage.Files.Dir, StringComparison.Ordinal) && !file.EndsWith("/.lock", StringComparison.Ordinal));
}
