using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Shared;

/// <summary>Several containers that miss the same at the same time.</summary>
public sealed class SharedDownloadsTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(3_000_000);
    private readonly TaskCompletionSource _rest = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SharedContainers _containers = null!;

    public async Task InitializeAsync()
    {
        _containers = await SharedContainers.StartAsync(4);
        _containers.First.Serve(_body);
    }

    public async Task DisposeAsync()
    {
        _rest.TrySetResult();
        await _containers.DisposeAsync();
    }

    [Fact]
    public async Task Others_follow_a_download_while_it_grows_and_it_is_the_only_one()
    {
        _containers.First.Origin = SlowAsync;
        var first = await _containers.All[0].GetAsync(_containers.First.Blob(_body), null);
        await CacheStage.EventuallyAsync(() => Incoming().Any(f => f.Length >= 1_000_000));
        var others = Enumerable.Range(1, 3).Select(i => _containers.All[i].GetAsync(_containers.First.Blob(_body))).ToArray();
        foreach (var other in others)
        {
            // What is there comes before the rest is.
            using var response = await other;
            Assert.Equal("HIT", CacheStage.XCache(response));
            await using var stream = await response.Content.ReadAsStreamAsync();
            var part = new byte[500_000];
            await stream.ReadExactlyAsync(part);
            Assert.Equal(_body[..500_000], part);
            _rest.TrySetResult();
            var rest = new byte[_body.Length - part.Length];
            await stream.ReadExactlyAsync(rest);
            Assert.Equal(_body[500_000..], rest);
        }

        using (first)
            Assert.Equal(_body, await first.Content.ReadAsByteArrayAsync());
        Assert.Single(_containers.Asked(_body), "GET");
        await _containers.PlacedAsync(_body);
        await CacheStage.EventuallyAsync(() => Directory.GetFiles(Path.Join(_containers.Shared, "leases")).Length == 0 && Incoming().Count == 0);
        Assert.Equal([0, 1, 1, 1], Enumerable.Range(0, 4).Select(i => _containers.Stats(i).Followed));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(300_000)]
    [InlineData(3_000_000)]
    public async Task All_that_ask_at_once_cause_one_download(int size)
    {
        var body = TemporaryCache.Body(size);
        _containers.First.Serve(body);
        var asked = _containers.All.Select(c => c.FetchAsync(_containers.First.Blob(body))).ToArray();
        foreach (var (bytes, _) in await Task.WhenAll(asked))
            Assert.Equal(body, bytes);
        Assert.Single(_containers.Asked(body), "GET");
    }

    [Fact]
    public async Task What_the_origin_refuses_to_one_holds_up_nobody()
    {
        _containers.First.Origin = context => CacheStage.Status(context, 404);
        var asked = await Task.WhenAll(_containers.All.Select(c => c.GetAsync(_containers.First.Blob(_body))));
        Assert.All(asked, response => Assert.Equal(HttpStatusCode.NotFound, response.StatusCode));
        Assert.Equal(4, _containers.Asked(_body).Length);
        await CacheStage.EventuallyAsync(() => Directory.GetFiles(Path.Join(_containers.Shared, "leases")).Length == 0);
    }

    [Fact]
    public async Task What_an_owner_who_died_had_is_resumed_by_the_next()
    {
        Plant(_body[..1_000_000]);
        await _containers.ExpectAsync(1, "HIT", _body);
        Assert.Equal(["HEAD", "GET"], _containers.Asked(_body));
        await _containers.PlacedAsync(_body);
        await CacheStage.EventuallyAsync(() => _containers.Files() is [_, { } file] && file.StartsWith("sha256", StringComparison.Ordinal));
        Assert.Equal(1, _containers.Stats(1).TakenOver);
        await _containers.ExpectAsync(2, "HIT", _body);
    }

    /// <summary>Those who follow when it dies: one has the rest from the origin, the others from that one.</summary>
    [Fact]
    public async Task The_rest_of_what_an_owner_who_died_had_is_asked_for_once()
    {
        _containers.First.Origin = ServeSlowRange;
        using var owner = Plant(_body[..1_000_000], held: true);
        var asked = _containers.All.Select(c => c.GetAsync(_containers.First.Blob(_body))).ToArray();
        var responses = await Task.WhenAll(asked);
        Assert.All(responses, response => Assert.Equal("HIT", CacheStage.XCache(response)));
        owner!.Dispose();
        await CacheStage.EventuallyAsync(() => _containers.Asked(_body).Contains("GET"));
        _rest.SetResult();
        foreach (var response in responses)
            Assert.Equal(_body, await response.Content.ReadAsByteArrayAsync());
        Assert.Single(_containers.Asked(_body), "GET");
        await _containers.PlacedAsync(_body);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_owner_who_brings_nothing_holds_up_nobody_for_long(bool hasBegun)
    {
        using var owner = hasBegun ? Plant(_body[..1_000_000], held: true) : Plant(null, held: true);
        await _containers.ExpectAsync(1, hasBegun ? "HIT" : "MISS", _body);
        Assert.Single(_containers.Asked(_body), "GET");
    }

    [Fact]
    public async Task An_owner_who_brings_a_little_now_and_then_is_one_who_brings_nothing()
    {
        using var owner = Plant(_body[..1_000_000], held: true);
        var incoming = Incoming()[0].FullName;
        var got = _containers.All[1].FetchAsync(_containers.First.Blob(_body));
        // 25 KB in a second: all of it would take more than a minute.
        for (var at = 1_000_000; !_containers.Asked(_body).Contains("GET"); at += 500)
        {
            Assert.True(at < _body.Length);
            await using (var file = new FileStream(incoming, FileMode.Append, FileAccess.Write, FileShare.ReadWrite))
                await file.WriteAsync(_body.AsMemory(at, 500));
            await Task.Delay(20);
        }

        Assert.Equal(_body, (await got).Body);
        Assert.Single(_containers.Asked(_body), "GET");
    }

    /// <summary>As one who died: its client has gone, or its container is stopped.</summary>
    [Fact]
    public async Task The_rest_of_what_an_owner_gave_up_is_asked_for_once()
    {
        var asked = 0;
        _containers.First.Rules.Replace(new CacheRules(_containers.First.Options with { FillAfterAbort = 0 }));
        _containers.First.Origin = context => HttpMethods.IsGet(context.Request.Method) && Interlocked.Increment(ref asked) == 1
            ? SlowAsync(context) : Results.Bytes(_body, enableRangeProcessing: true).ExecuteAsync(context);
        var first = await _containers.All[0].GetAsync(_containers.First.Blob(_body), null);
        await CacheStage.EventuallyAsync(() => Incoming().Any(f => f.Length >= 1_000_000));
        var others = await Task.WhenAll(Enumerable.Range(1, 3).Select(i => _containers.All[i].GetAsync(_containers.First.Blob(_body))));
        Assert.All(others, other => Assert.Equal("HIT", CacheStage.XCache(other)));
        first.Dispose();
        foreach (var other in others)
            Assert.Equal(_body, await other.Content.ReadAsByteArrayAsync());
        Assert.Equal(2, _containers.Asked(_body).Count(method => method == "GET"));
        await _containers.PlacedAsync(_body);
        Assert.Equal(1, Enumerable.Range(1, 3).Sum(i => _containers.Stats(i).TakenOver));
    }

    [Fact]
    public async Task What_somebody_planted_as_a_growing_body_is_never_complete_and_not_believed_twice()
    {
        Plant(TemporaryCache.Body(_body.Length));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => _containers.ExpectAsync(1, "HIT", _body));
        await _containers.ExpectAsync(1, "MISS", _body);
        await _containers.ExpectAsync(1, "HIT", _body);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("discobot ../../../../../../etc/passwd 3000000 \n")]
    [InlineData("discobot 00000000000000000000000000000000 -5 \n")]
    [InlineData("discobot 00000000000000000000000000000000 99999999999999999999999 \n")]
    [InlineData("discobot 00000000000000000000000000000000 3000000 \n")]
    public async Task What_no_owner_would_write_in_a_lease_is_none(string text)
    {
        Directory.CreateDirectory(Path.Join(_containers.Shared, "leases"));
        await File.WriteAllTextAsync(_containers.LeaseOf(_body), text);
        await _containers.ExpectAsync(1, "MISS", _body);
    }

    [Theory]
    [InlineData("link")]
    [InlineData("directory")]
    public async Task A_lease_that_is_no_file_is_in_nobodys_way(string planted)
    {
        var victim = Path.Join(_containers.First.Files.Dir, "victim");
        await File.WriteAllTextAsync(victim, "untouched");
        Directory.CreateDirectory(Path.Join(_containers.Shared, "leases"));
        if (planted == "link")
            File.CreateSymbolicLink(_containers.LeaseOf(_body), victim);
        else
            Directory.CreateDirectory(_containers.LeaseOf(_body));
        await _containers.ExpectAsync(1, "MISS", _body);
        Assert.Equal("untouched", await File.ReadAllTextAsync(victim));
        await _containers.PlacedAsync(_body);
    }

    private List<FileInfo> Incoming() =>
        Directory.Exists(Path.Join(_containers.Shared, "incoming")) ? [.. new DirectoryInfo(Path.Join(_containers.Shared, "incoming")).GetFiles()] : [];

    // What an owner leaves, or, held, still has.
    private FileStream? Plant(byte[]? written, bool held = false)
    {
        var name = Convert.ToHexStringLower(TemporaryCache.Body(16));
        Directory.CreateDirectory(Path.Join(_containers.Shared, "leases"));
        Directory.CreateDirectory(Path.Join(_containers.Shared, "incoming"));
        if (written is not null)
            File.WriteAllBytes(Path.Join(_containers.Shared, "incoming", name), written);
        // FileShare.None is a lock of flock(2).
        var lease = new FileStream(_containers.LeaseOf(_body), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        if (written is not null)
            lease.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"discobot {name} {_body.Length} ").PadRight(127) + "\n"));
        lease.Flush();
        if (held)
            return lease;
        lease.Dispose();
        return null;
    }

    // A third, and the rest when the test says so.
    private async Task SlowAsync(HttpContext context)
    {
        context.Response.ContentLength = _body.Length;
        if (HttpMethods.IsHead(context.Request.Method))
            return;
        await context.Response.Body.WriteAsync(_body.AsMemory(0, 1_500_000));
        await context.Response.Body.FlushAsync();
        await _rest.Task;
        await context.Response.Body.WriteAsync(_body.AsMemory(1_500_000));
    }

    private async Task ServeSlowRange(HttpContext context)
    {
        if (HttpMethods.IsGet(context.Request.Method))
            await _rest.Task;
        await Results.Bytes(_body, enableRangeProcessing: true).ExecuteAsync(context);
    }
}
