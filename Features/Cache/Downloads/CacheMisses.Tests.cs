using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Downloads;

public sealed class CacheMissesTests : IAsyncLifetime
{
    private CacheStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CacheStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task The_client_receives_bytes_as_they_come()
    {
        var body = TemporaryCache.Body(400_000);
        var received = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 1000));
            await received.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(body.AsMemory(1000));
        };
        using var response = await _stage.GetAsync(_stage.Blob(body));
        await using var stream = await response.Content.ReadAsStreamAsync();
        var read = new byte[body.Length];
        await stream.ReadExactlyAsync(read.AsMemory(0, 1000));
        received.SetResult();
        await stream.ReadExactlyAsync(read.AsMemory(1000));
        Assert.Equal(body, read);
        await _stage.ExpectAsync("HIT", body);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(FillChunk.Capacity - 1)]
    [InlineData(FillChunk.Capacity)]
    [InlineData(FillChunk.Capacity + 1)]
    [InlineData(5 * FillChunk.Capacity)]
    public async Task Bodies_of_every_size_around_the_chunks_come_through_and_are_stored(int size)
    {
        var body = TemporaryCache.Body(size);
        _stage.Serve(body);
        await _stage.ExpectAsync("MISS", body);
        await _stage.ExpectAsync("HIT", body);
    }

    [Fact]
    public async Task A_body_of_unknown_length_is_stored_once_its_digest_is_right()
    {
        var body = TemporaryCache.Body(700_000);
        _stage.Origin = context => context.Response.Body.WriteAsync(body).AsTask();
        await _stage.ExpectAsync("MISS", body);
        await _stage.ExpectAsync("HIT", body);
    }

    [Fact]
    public async Task Many_clients_of_one_missing_blob_cause_one_download_and_all_stream()
    {
        var body = TemporaryCache.Body(3 << 20);
        var begun = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 1 << 20));
            await begun.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(body.AsMemory(1 << 20));
        };
        var clients = Enumerable.Range(0, 20).Select(async _ =>
        {
            using var response = await _stage.GetAsync(_stage.Blob(body));
            await using var stream = await response.Content.ReadAsStreamAsync();
            var read = new byte[body.Length];
            await stream.ReadExactlyAsync(read.AsMemory(0, 1000));
            if (Interlocked.Increment(ref _streaming) == 20)
                begun.SetResult();
            await stream.ReadExactlyAsync(read.AsMemory(1000));
            return read;
        });
        foreach (var read in await Task.WhenAll(clients))
            Assert.Equal(body, read);
        Assert.Single(_stage.Asked);
        Assert.Equal(1, _stage.Stats.Stores);
        Assert.Equal(19, _stage.Stats.Shared);
    }

    private int _streaming;

    [Fact]
    public async Task A_host_that_hangs_holds_up_no_other_host_with_the_same_blob()
    {
        var body = TemporaryCache.Body(1000);
        _stage.Serve(body);
        var serve = _stage.Origin;
        _stage.Origin = context => context.Request.Host.Host == "localhost" ? serve(context) : Task.Delay(Timeout.Infinite, context.RequestAborted);
        using var leaving = new CancellationTokenSource();
        var hanging = _stage.Client.GetAsync(_stage.Blob(body), leaving.Token);
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        await _stage.ExpectAsync("MISS", body, _stage.Elsewhere(_stage.Blob(body).PathAndQuery));
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    public async Task Who_waits_for_somebody_elses_download_that_brings_nothing_asks_by_itself(int before)
    {
        var body = TemporaryCache.Body(200_000);
        _stage.Serve(body);
        var serve = _stage.Origin;
        _stage.Origin = async context =>
        {
            if (_stage.Asked.Count > 1)
            {
                await serve(context);
                return;
            }

            context.Response.ContentLength = body.Length;
            if (before > 0)
                await context.Response.Body.WriteAsync(body.AsMemory(0, before));
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        };
        using var leaving = new CancellationTokenSource();
        var hanging = _stage.Client.GetAsync(_stage.Blob(body), leaving.Token);
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        // By time: the download's silence is what somebody else loses patience with.
        await Task.Delay(before > 0 ? 5_200 : 0);
        var started = Environment.TickCount64;
        Assert.Equal(body, (await _stage.FetchAsync(_stage.Blob(body))).Body);
        Assert.InRange(Environment.TickCount64 - started, 0, 15_000);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
    }

    [Fact]
    public async Task A_leaders_failure_is_its_own()
    {
        var body = TemporaryCache.Body(1000);
        var both = new TaskCompletionSource();
        _stage.Serve(body);
        var serve = _stage.Origin;
        _stage.Origin = async context =>
        {
            if (_stage.Asked.Count > 1)
            {
                await serve(context);
                return;
            }

            await both.Task.WaitAsync(TimeSpan.FromSeconds(5));
            context.Abort();
        };
        var leader = _stage.GetAsync(_stage.Blob(body));
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        var joiner = _stage.FetchAsync(_stage.Blob(body));
        // By time: nothing tells that a request has joined; when it has not yet, this shows less.
        await Task.Delay(50);
        both.SetResult();
        Assert.Equal(HttpStatusCode.BadGateway, (await leader).StatusCode);
        Assert.Equal(body, (await joiner).Body);
    }

    [Fact]
    public async Task A_request_that_cannot_even_be_made_takes_its_place_with_it()
    {
        var body = TemporaryCache.Body(1000);
        _stage.Serve(body);
        _stage.BreakRequests = true;
        using (var broken = await _stage.GetAsync(_stage.Blob(body)))
            Assert.False(broken.IsSuccessStatusCode);
        _stage.BreakRequests = false;
        await _stage.ExpectAsync("MISS", body);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_upstream_may_be_silent_as_long_as_the_configuration_says(bool patient)
    {
        _stage.Silence = patient ? TimeSpan.Zero : TimeSpan.FromMilliseconds(300);
        await _stage.RestartAsync();
        var body = TemporaryCache.Body(100_000);
        _stage.Origin = async context =>
        {
            if (_stage.Asked.Count > 1)
            {
                await CacheStage.Status(context, 403);
                return;
            }

            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 1000));
            // By time: a pause of the origin.
            await Task.Delay(1500);
            await context.Response.Body.WriteAsync(body.AsMemory(1000));
        };
        using var response = await _stage.GetAsync(_stage.Blob(body));
        if (patient)
            Assert.Equal(body, await response.Content.ReadAsByteArrayAsync());
        else
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task What_new_rules_forbid_is_not_downloaded_any_further()
    {
        var body = TemporaryCache.Body(600_000);
        var go = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 1000));
            await go.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(body.AsMemory(1000));
        };
        using (var response = await _stage.GetAsync(_stage.Blob(body)))
        {
            _stage.Policy.Forbidden = "/v2/a/";
            _stage.Traffic.JudgeAgain();
            go.SetResult();
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        }

        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 0);
        Assert.Equal(0, _stage.Stats.Stores);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_leaves_does_not_spoil_the_others(bool beforeTheHead)
    {
        var body = TemporaryCache.Body(2 << 20);
        var go = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            if (!beforeTheHead)
            {
                context.Response.ContentLength = body.Length;
                await context.Response.Body.WriteAsync(body.AsMemory(0, 1000));
            }

            await go.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(body.AsMemory(beforeTheHead ? 0 : 1000));
        };
        using var leaving = new CancellationTokenSource();
        var leader = _stage.Client.GetAsync(_stage.Blob(body), leaving.Token);
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        var follower = _stage.FetchAsync(_stage.Blob(body));
        // By time: nothing tells that a request has joined; when it has not yet, this shows less.
        await Task.Delay(50);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leader);
        // By time: nothing tells that the first has gone.
        await Task.Delay(50);
        go.SetResult();
        Assert.Equal(body, (await follower).Body);
        Assert.Single(_stage.Asked);
    }

    [Theory]
    [InlineData(1 << 20, true)]
    [InlineData(0, false)]
    public async Task When_the_only_client_leaves_a_small_download_is_finished_and_a_large_one_is_not(long limit, bool finished)
    {
        _stage.Rules.Replace(new CacheRules(_stage.Options with { FillAfterAbort = limit }));
        var body = TemporaryCache.Body(900_000);
        var left = new TaskCompletionSource();
        var broken = false;
        _stage.Origin = async context =>
        {
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 1000));
            await left.Task.WaitAsync(TimeSpan.FromSeconds(5));
            if (!finished)
                await CacheStage.EventuallyAsync(() => broken = context.RequestAborted.IsCancellationRequested);
            await context.Response.Body.WriteAsync(body.AsMemory(1000));
        };
        using (var response = await _stage.GetAsync(_stage.Blob(body)))
        {
            await using var stream = await response.Content.ReadAsStreamAsync();
            await stream.ReadExactlyAsync(new byte[500]);
        }

        left.SetResult();
        await CacheStage.EventuallyAsync(() => finished ? _stage.Stats.Stores == 1 : broken);
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == (finished ? 2 : 0));
        Assert.Equal(finished ? 1 : 0, _stage.Stats.Entries);
    }

    [Fact]
    public async Task A_download_more_than_half_done_is_finished_though_its_client_left()
    {
        _stage.Rules.Replace(new CacheRules(_stage.Options with { FillAfterAbort = 0 }));
        var body = TemporaryCache.Body(900_000);
        var left = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 600_000));
            await left.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(body.AsMemory(600_000));
        };
        using (var response = await _stage.GetAsync(_stage.Blob(body)))
        {
            await using var stream = await response.Content.ReadAsStreamAsync();
            await stream.ReadExactlyAsync(new byte[600_000]);
        }

        // By time: nothing tells that the client has gone.
        await Task.Delay(50);
        left.SetResult();
        await CacheStage.EventuallyAsync(() => _stage.Stats.Stores == 1);
        await _stage.ExpectAsync("HIT", body);
    }

    [Fact]
    public async Task A_range_from_the_first_byte_on_fills_the_cache()
    {
        var body = TemporaryCache.Body(300_000);
        _stage.Serve(body);
        using var response = await _stage.GetAsync(_stage.Blob(body), r => r.Headers.Range = new RangeHeaderValue(0, null));
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal("bytes 0-299999/300000", response.Content.Headers.ContentRange!.ToString());
        Assert.Equal(body, await response.Content.ReadAsByteArrayAsync());
        await _stage.ExpectAsync("HIT", body);
    }

    [Fact]
    public async Task While_filling_a_range_that_is_there_follows_and_one_ahead_goes_upstream_itself()
    {
        var body = TemporaryCache.Body(2 << 20);
        var go = new TaskCompletionSource();
        _stage.Serve(body);
        var serve = _stage.Origin;
        _stage.Origin = async context =>
        {
            if (context.Request.Headers.Range.Count > 0)
            {
                await serve(context);
                return;
            }

            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 1 << 20));
            await go.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(body.AsMemory(1 << 20));
        };
        using var filling = await _stage.GetAsync(_stage.Blob(body));
        await using var stream = await filling.Content.ReadAsStreamAsync();
        await stream.ReadExactlyAsync(new byte[1 << 20]);

        using var ahead = await _stage.GetAsync(_stage.Blob(body), r => r.Headers.Range = new RangeHeaderValue(3 << 19, null));
        Assert.Equal(HttpStatusCode.PartialContent, ahead.StatusCode);
        Assert.Equal(body[(3 << 19)..], await ahead.Content.ReadAsByteArrayAsync());
        Assert.Equal(2, _stage.Asked.Count);

        using var behind = await _stage.GetAsync(_stage.Blob(body), r => r.Headers.Range = new RangeHeaderValue(1000, null));
        Assert.Equal(HttpStatusCode.PartialContent, behind.StatusCode);
        Assert.Equal($"bytes 1000-{body.Length - 1}/{body.Length}", behind.Content.Headers.ContentRange!.ToString());
        go.SetResult();
        Assert.Equal(body[1000..], await behind.Content.ReadAsByteArrayAsync());
        Assert.Equal(2, _stage.Asked.Count);
    }

    [Fact]
    public async Task Upstream_is_asked_for_the_bytes_themselves_on_content_addressed_paths()
    {
        var body = TemporaryCache.Body(100);
        string? coding = null;
        _stage.Origin = context =>
        {
            coding = context.Request.Headers.AcceptEncoding;
            return context.Response.Body.WriteAsync(body).AsTask();
        };
        using var response = await _stage.GetAsync(_stage.Blob(body), r => r.Headers.TryAddWithoutValidation("Accept-Encoding", "gzip, br"));
        Assert.Equal("identity", coding);
    }

    [Fact]
    public async Task Head_of_a_missing_blob_passes_through()
    {
        var body = TemporaryCache.Body(100);
        _stage.Serve(body);
        using var request = new HttpRequestMessage(HttpMethod.Head, _stage.Blob(body));
        using var response = await _stage.Client.SendAsync(request);
        Assert.Equal((HttpStatusCode.OK, "MISS", 100L), (response.StatusCode, CacheStage.XCache(response), response.Content.Headers.ContentLength));
        Assert.StartsWith("HEAD", _stage.Asked.Single(), StringComparison.Ordinal);
        Assert.Empty(_stage.Files.Files());
    }

    [Fact]
    public async Task A_client_whose_credentials_are_refused_does_not_keep_others_from_storing()
    {
        var body = TemporaryCache.Body(1000);
        var both = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            await both.Task.WaitAsync(TimeSpan.FromSeconds(5));
            if (context.Request.Headers.Authorization.Count == 0)
                context.Response.StatusCode = 401;
            else
                await context.Response.Body.WriteAsync(body);
        };
        var refused = _stage.GetAsync(_stage.Blob(body));
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        var allowed = _stage.GetAsync(_stage.Blob(body), r => r.Headers.Authorization = new("Bearer", "token"));
        // By time: nothing tells that a request has joined; when it has not yet, this shows less.
        await Task.Delay(50);
        both.SetResult();
        Assert.Equal(HttpStatusCode.Unauthorized, (await refused).StatusCode);
        Assert.Equal(body, await (await allowed).Content.ReadAsByteArrayAsync());
        await _stage.ExpectAsync("HIT", body);
    }

    [Fact]
    public async Task A_connection_is_kept_alive_over_misses_and_hits()
    {
        var body = TemporaryCache.Body(300_000);
        _stage.Serve(body);
        var connections = 0;
        using var client = new HttpClient(new SocketsHttpHandler
        {
            Proxy = _stage.ProxyAddress,
            ConnectCallback = async (context, cancel) =>
            {
                Interlocked.Increment(ref connections);
                var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
                await socket.ConnectAsync(context.DnsEndPoint, cancel);
                return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
            },
        });
        for (var i = 0; i < 10; i++)
            Assert.Equal(body, await client.GetByteArrayAsync(_stage.Blob(body)));
        Assert.Equal(1, connections);
    }
}
