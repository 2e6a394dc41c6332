using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

public sealed class OriginReachTests : IAsyncLifetime
{
    private CacheStage _stage = null!;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Connecting = TimeSpan.FromSeconds(1);
        _stage.Origin = context => context.Response.WriteAsync("one");
        _stage.Options = _stage.Options with { StaleTags = true };
        await _stage.RestartAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task Where_no_connection_comes_what_is_stored_answers_and_one_request_at_a_time_tries_whether_it_is_back()
    {
        var indexes = Enumerable.Range(0, 4).Select(i => _stage.Url($"/simple/thing{i}/")).ToArray();
        foreach (var index in indexes)
            await _stage.ExpectAsync("MISS", "one"u8.ToArray(), index);
        var (tries, back) = (0, new TaskCompletionSource());
        _stage.Connect = async cancel =>
        {
            Interlocked.Increment(ref tries);
            await back.Task.WaitAsync(cancel);
        };
        foreach (var index in indexes)
        {
            using var response = await _stage.GetAsync(index);
            Assert.Equal((HttpStatusCode.OK, true), (response.StatusCode, response.Headers.Contains("Warning")));
        }

        // The first request's own, and the one beside it that goes on.
        Assert.Equal(2, tries);

        // Nothing stands in for what is not stored.
        var other = _stage.GetAsync(_stage.Url("/simple/other/"));
        await CacheStage.EventuallyAsync(() => Volatile.Read(ref tries) == 3);
        Assert.False(other.IsCompleted);

        _stage.Origin = context => context.Response.WriteAsync("two");
        back.SetResult();
        using (var answer = await other)
            Assert.Equal("two", await answer.Content.ReadAsStringAsync());
        await _stage.ExpectAsync("MISS", "two"u8.ToArray(), indexes[3]);
    }

    [Theory]
    [InlineData("/v2/", true)]
    [InlineData("/v2/x/manifests/latest", false)]
    public async Task A_registry_of_images_is_waited_for_no_longer_than_others(string path, bool isPing)
    {
        await _stage.ExpectAsync("MISS", "one"u8.ToArray(), _stage.Url("/v2/x/manifests/sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"));
        await _stage.FetchAsync(_stage.Url("/v2/x/manifests/latest"));
        await _stage.Store.CommittedAsync();
        var (tries, back) = (0, new TaskCompletionSource());
        _stage.Connect = async cancel =>
        {
            Interlocked.Increment(ref tries);
            await back.Task.WaitAsync(cancel);
        };
        for (var i = 0; i < 4; i++)
        {
            using var response = await _stage.GetAsync(_stage.Url(path)).WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Equal((HttpStatusCode.OK, isPing ? "{}" : "one"), (response.StatusCode, await response.Content.ReadAsStringAsync()));
            Assert.Equal("HIT", CacheStage.XCache(response));
        }

        // The first request's own, and the one beside the others that goes on.
        Assert.Equal(2, tries);
        _stage.Origin = context => context.Response.WriteAsync("two");
        back.SetResult();
        await CacheStage.EventuallyAsync(() => _stage.Asked.Count > 2);
        Assert.Equal("two"u8.ToArray(), (await _stage.FetchAsync(_stage.Url(path))).Body);
    }

    [Fact]
    public async Task Whoever_should_judge_credentials_is_waited_for()
    {
        await _stage.ExpectAsync("MISS", "one"u8.ToArray(), _stage.Url("/v2/x/manifests/sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"));
        var back = new TaskCompletionSource();
        _stage.Connect = cancel => back.Task.WaitAsync(cancel);
        var ping = _stage.GetAsync(_stage.Url("/v2/"), r => r.Headers.TryAddWithoutValidation("Authorization", "Basic dTpw"));
        using (var other = await _stage.GetAsync(_stage.Url("/v2/")))
            Assert.Equal("HIT", CacheStage.XCache(other));
        Assert.False(ping.IsCompleted);
        _stage.Origin = context => CacheStage.Status(context, 401);
        back.SetResult();
        Assert.Equal(HttpStatusCode.Unauthorized, (await ping).StatusCode);
    }

    [Fact]
    public async Task A_connection_that_is_there_may_take_longer_to_answer()
    {
        var index = _stage.Url("/simple/thing/");
        await _stage.ExpectAsync("MISS", "one"u8.ToArray(), index);
        _stage.Origin = async context =>
        {
            // By time: an answer later than a connection may take.
            await Task.Delay(2 * _stage.Connecting);
            await context.Response.WriteAsync("two");
        };
        await _stage.ExpectAsync("MISS", "two"u8.ToArray(), index);
    }

    /// <summary>It takes connections, and says nothing on them, or half a head.</summary>
    [Fact]
    public async Task A_registry_that_is_silent_is_stood_in_for_until_it_answers()
    {
        _stage.Answering = TimeSpan.FromSeconds(1);
        await _stage.RestartAsync();
        var index = _stage.Url("/simple/thing/");
        await _stage.ExpectAsync("MISS", "one"u8.ToArray(), index);
        var (tries, back) = (0, new TaskCompletionSource());
        _stage.Origin = async context =>
        {
            Interlocked.Increment(ref tries);
            await back.Task;
            await context.Response.WriteAsync("two");
        };
        for (var i = 0; i < 5; i++)
        {
            using var response = await _stage.GetAsync(index);
            Assert.Equal(("one", true), (await response.Content.ReadAsStringAsync(), response.Headers.Contains("Warning")));
        }

        // The first request's own, and the one beside the answers that goes on.
        await CacheStage.EventuallyAsync(() => Volatile.Read(ref tries) == 2);
        back.SetResult();
        await CacheStage.EventuallyAsync(() => _stage.FetchAsync(index).Result.Body.AsSpan().SequenceEqual("two"u8));
    }

    [Fact]
    public async Task What_took_long_is_remembered_for_half_a_minute_and_what_was_refused_is_not()
    {
        var clock = new Clock();
        var reach = new OriginReach(new Failing(clock), new Downloads.CacheLimits(TimeSpan.FromMinutes(1)), clock);
        await FailAsync(reach, "refused.test");
        Assert.False(reach.IsAway(Of("refused.test")));

        await FailAsync(reach, "dropped.test");
        Assert.True(reach.IsAway(Of("dropped.test")));
        Assert.False(reach.IsAway(Of("dropped.test", 8443)));
        clock.Now += OriginReach.Memory - TimeSpan.FromSeconds(1);
        Assert.True(reach.IsAway(Of("dropped.test")));
        clock.Now += TimeSpan.FromSeconds(1);
        Assert.False(reach.IsAway(Of("dropped.test")));

        // A connection that breaks off late has been there, and ends the memory.
        await FailAsync(reach, "dropped.test");
        await FailAsync(reach, "dropped.test", "broken.test");
        Assert.False(reach.IsAway(Of("dropped.test")));
    }

    [Fact]
    public void One_tries_at_a_time()
    {
        var reach = new OriginReach(new Failing(new Clock()), new Downloads.CacheLimits(TimeSpan.FromMinutes(1)), new Clock());
        var first = reach.TryProbe(Of("a.test"));
        Assert.NotNull(first);
        Assert.Null(reach.TryProbe(Of("a.test")));
        using var other = reach.TryProbe(Of("b.test"));
        Assert.NotNull(other);
        first.Dispose();
        using var second = reach.TryProbe(Of("a.test"));
        Assert.NotNull(second);
    }

    private static ProxiedRequest Of(string host, int port = 443) => new() { Id = "1", Scheme = "https", Target = new ConnectTarget(host, port), PathAndQuery = "/" };

    private static async Task FailAsync(OriginReach reach, string host, string? how = null)
    {
        using var message = new HttpRequestMessage(HttpMethod.Get, $"https://{how ?? host}/");
        await Assert.ThrowsAsync<HttpRequestException>(() => reach.AskAsync(Of(host), message, isStoodInFor: false, CancellationToken.None));
    }

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; } = TimeSpan.FromHours(1);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }

    /// <summary>No request succeeds: what is asked of refused.test is refused, of broken.test it breaks off, else no word comes back.</summary>
    private sealed class Failing(Clock clock) : IUpstream
    {
        public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
        {
            var how = request.RequestUri!.Host.Split('.')[0];
            if (how == "broken")
                UpstreamRequests.NewsOf(request)!.Connected();
            if (how != "refused")
                clock.Now += TimeSpan.FromSeconds(15);
            throw new HttpRequestException(how, how == "broken" ? new IOException("closed") : new SocketException((int)(how == "refused" ? SocketError.ConnectionRefused : SocketError.TimedOut)));
        }
    }
}
