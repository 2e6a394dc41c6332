using System.Net;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Remote;

/// <summary>A store beyond this machine, and what networks and services do to it.</summary>
public sealed class RemoteTierTests : IAsyncLifetime
{
    private const int Large = 1_000_000;
    private readonly TestS3 _s3 = new();
    private FaultProxy _store = null!;
    private readonly List<CacheStage> _stages = [];

    public async Task InitializeAsync() => _store = await FaultProxy.StartAsync(_s3.AnswerAsync);

    public async Task DisposeAsync()
    {
        foreach (var stage in _stages)
            await stage.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_one_container_has_downloaded_another_has_from_the_store_once_its_origin_has_said_so(bool http)
    {
        var (body, small) = (TemporaryCache.Body(Large), TemporaryCache.Body(1000));
        await using var kept = await FaultProxy.StartAsync(new HttpStoreServer().AnswerAsync);
        var remote = http ? new RemoteOptions { Http = new Uri($"{kept.Address}/cas"), Authorization = HttpStoreServer.Authorization } : TestS3.Options(_store.Address);
        var first = await StartAsync(remote, body, small);
        await first.ExpectAsync("MISS", body);
        await first.ExpectAsync("MISS", small);
        await Eventually.TrueAsync(() => Task.FromResult(first.Remote is { Uploads: 2, Waiting: 0, WaitingBytes: 0 }));
        Assert.Equal((2, Large + 1000L), (first.Remote.Absent, first.Remote.BytesUploaded));

        var second = await StartAsync(remote, body, small);
        await second.ExpectAsync("HIT", body);
        await second.ExpectAsync("HIT", small);
        Assert.Equal(["HEAD", "HEAD"], second.Asked.Select(a => a.Split(' ')[0]));
        Assert.Equal((2, Large + 1000L, 0), (second.Remote.Hits, second.Remote.BytesRead, second.Remote.Absent));
        // From there on it is here, and what came from there is not uploaded.
        await second.Store.CommittedAsync();
        await second.ExpectAsync("HIT", body);
        Assert.Equal((2, 0, 0), (second.Asked.Count, second.Remote.Uploads, second.Remote.Waiting));
        // Nothing was ever listed.
        Assert.DoesNotContain(_s3.Asked, asked => asked.StartsWith("GET", StringComparison.Ordinal) && !asked.Contains("/sha256/", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(404)]
    public async Task What_the_origin_refuses_is_refused_though_the_store_has_it(int status)
    {
        var body = TemporaryCache.Body(Large);
        _s3.Put(body);
        var stage = await StartAsync(body);
        stage.Origin = context => CacheStage.Status(context, status);
        using var response = await stage.GetAsync(stage.Blob(body));
        Assert.Equal((HttpStatusCode)status, response.StatusCode);
        Assert.Equal(0, stage.Stats.Entries);
    }

    [Theory]
    [InlineData(nameof(Fault.SlowDown), nameof(RemoteStatistics.Unavailable))]
    [InlineData(nameof(Fault.ServerError), nameof(RemoteStatistics.Unavailable))]
    [InlineData(nameof(Fault.ResetAtOnce), nameof(RemoteStatistics.Unavailable))]
    [InlineData(nameof(Fault.ResetInTheMiddle), nameof(RemoteStatistics.Unavailable))]
    [InlineData(nameof(Fault.Denied), nameof(RemoteStatistics.Denied))]
    [InlineData(nameof(Fault.Absent), nameof(RemoteStatistics.Absent))]
    [InlineData(nameof(Fault.Truncated), nameof(RemoteStatistics.Hits))]
    [InlineData(nameof(Fault.SilentAtOnce), nameof(RemoteStatistics.Slow))]
    [InlineData(nameof(Fault.SilentInTheMiddle), nameof(RemoteStatistics.Slow))]
    [InlineData(nameof(Fault.Trickling), nameof(RemoteStatistics.Slow))]
    public async Task Whatever_the_store_does_the_client_has_the_body_and_what_it_was_is_told_apart(string fault, string counted)
    {
        var body = TemporaryCache.Body(Large);
        _s3.Put(body);
        var isSlow = counted == nameof(RemoteStatistics.Slow);
        var stage = await StartAsync(TestS3.Options(_store.Address), s => s.RemoteBudget = isSlow ? CircuitBreaker.UsualBudget : s.RemoteBudget, body);
        _store.Fault = Enum.Parse<Fault>(fault);
        var (bytes, _) = await stage.FetchAsync(stage.Blob(body));
        Assert.Equal(body, bytes);
        var told = stage.Remote;
        Assert.Equal(1L, typeof(RemoteStatistics).GetProperty(counted)!.GetValue(told));
        Assert.Equal(counted is nameof(RemoteStatistics.Hits) or nameof(RemoteStatistics.Absent) ? 0 : 1, told.Unavailable + told.Denied + told.Slow);
        Assert.Equal(isSlow, told.Away);
        await stage.Store.CommittedAsync();
        await stage.ExpectAsync("HIT", body);
    }

    [Fact]
    public async Task Credentials_that_cannot_be_had_in_a_way_nobody_thought_of_cost_no_answer()
    {
        var bodies = Enumerable.Range(0, 3).Select(_ => TemporaryCache.Body(1000)).ToArray();
        var token = Path.GetTempFileName();
        var stage = await StartAsync(TestS3.Options(_store.Address), stage =>
        {
            stage.RemoteVariables.Clear();
            (stage.RemoteVariables["AWS_WEB_IDENTITY_TOKEN_FILE"], stage.RemoteVariables["AWS_ROLE_ARN"], stage.RemoteVariables["AWS_ENDPOINT_URL_STS"]) = (token, "arn:aws:iam::1:role/r", "localhost:4566");
        }, bodies);
        foreach (var body in bodies)
            await stage.ExpectAsync("MISS", body);
        File.Delete(token);
        Assert.Equal((3, 0), (stage.Remote.Denied, _store.Asked));
    }

    [Fact]
    public async Task Another_body_never_looks_complete_is_not_asked_for_again_and_is_replaced()
    {
        var body = TemporaryCache.Body(Large);
        _s3.Put(body, stored: [.. body[..^1], (byte)(body[^1] ^ 1)]);
        var stage = await StartAsync(body);
        using (var broken = await stage.GetAsync(stage.Blob(body)))
        {
            // All of it may have come before the head was sent.
            if (broken.IsSuccessStatusCode)
                await Assert.ThrowsAnyAsync<Exception>(() => broken.Content.ReadAsByteArrayAsync());
            else
                Assert.Equal(HttpStatusCode.BadGateway, broken.StatusCode);
        }

        Assert.Equal((1, 0), (stage.Remote.Wrong, stage.Stats.Entries));
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote.Uploads == 1));
        Assert.Equal(body, _s3[body]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public async Task One_of_another_length_is_not_asked_for_again_and_is_replaced(int longer)
    {
        var body = TemporaryCache.Body(Large);
        _s3.Put(body, stored: TemporaryCache.Body(Large + longer));
        var stage = await StartAsync(body);
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Uploads: 1, Wrong: 1 }));
        Assert.Equal(body, _s3[body]);
    }

    [Fact]
    public async Task A_small_one_that_is_another_is_found_before_any_of_it_is_sent()
    {
        var body = TemporaryCache.Body(1000);
        _s3.Put(body, stored: TemporaryCache.Body(1000));
        var stage = await StartAsync(body);
        await stage.ExpectAsync("MISS", body);
        Assert.Equal(1, stage.Remote.Wrong);
    }

    [Fact]
    public async Task A_pull_waits_once_for_a_store_that_is_silent()
    {
        var bodies = Enumerable.Range(0, 20).Select(_ => TemporaryCache.Body(1000)).ToArray();
        var stage = await StartAsync(TestS3.Options(_store.Address), s => s.RemoteBudget = CircuitBreaker.UsualBudget, bodies);
        _store.Fault = Fault.SilentAtOnce;
        await Task.WhenAll(bodies[..3].Select(body => stage.ExpectAsync("MISS", body)));
        foreach (var body in bodies[3..])
            await stage.ExpectAsync("MISS", body);
        Assert.True(stage.Remote.Away);
        Assert.InRange(stage.Remote.Slow, 1, 3);
        Assert.Equal(20, stage.Remote.Slow + stage.Remote.NotAsked);
    }

    /// <summary>Each piece comes in the time that there is for it; all of them would take long.</summary>
    [Fact]
    public async Task A_store_that_sends_slowly_is_left_before_it_costs_more_than_the_budget()
    {
        var body = TemporaryCache.Body(10_000_000);
        _s3.Put(body);
        var stage = await StartAsync(TestS3.Options(_store.Address), s => s.RemoteBudget = CircuitBreaker.UsualBudget, body);
        _store.Fault = Fault.InPieces;
        var (bytes, _) = await stage.FetchAsync(stage.Blob(body));
        Assert.Equal(body, bytes);
        Assert.True(stage.Remote.Away);
        Assert.Contains(stage.Asked, asked => asked.StartsWith("GET", StringComparison.Ordinal));
    }

    /// <summary>What comes through one body tells of the store, and all others leave it then.</summary>
    [Fact]
    public async Task A_body_under_way_ends_when_the_store_is_left_alone()
    {
        using var breaker = new CircuitBreaker(new Microsoft.Extensions.Time.Testing.FakeTimeProvider());
        using var response = new HttpResponseMessage();
        var pipe = new System.IO.Pipelines.Pipe();
        await using var body = new RemoteBody(new RemoteObject(response, 100), pipe.Reader.AsStream(), default, breaker, new Microsoft.Extensions.Time.Testing.FakeTimeProvider(), (_, _, _) => Assert.Fail("it has not failed"), (_, _) => { });
        var reading = body.ReadAsync(new byte[10]);
        Assert.False(reading.IsCompleted);
        breaker.Failed(breaker.Budget);
        // What a response does when it is disposed.
        await pipe.Writer.CompleteAsync(new IOException("gone"));
        await Assert.ThrowsAsync<RemoteException>(async () => await reading);
        await Assert.ThrowsAsync<RemoteException>(async () => await body.ReadExactlyAsync(new byte[10]));
    }

    [Fact]
    public async Task A_store_that_is_back_is_asked_again_and_gets_what_waits()
    {
        var body = TemporaryCache.Body(Large);
        var stage = await StartAsync(TestS3.Options(_store.Address), s => (s.RemoteBudget, s.Time.IsHurried) = (CircuitBreaker.UsualBudget, true), body);
        (_store.Fault, _store.Methods) = (Fault.SilentAtOnce, "GET HEAD PUT");
        await stage.ExpectAsync("MISS", body);
        Assert.True(stage.Remote.Away);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote.Waiting == 1));
        _store.Fault = Fault.None;
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Away: false, Uploads: 1, Waiting: 0 }));
        Assert.Equal(body, _s3[body]);
    }

    [Fact]
    public async Task Whether_a_body_is_there_is_remembered()
    {
        var body = TemporaryCache.Body(1000);
        var stage = await StartAsync(body);
        stage.Origin = context => CacheStage.Status(context, 404);
        for (var i = 0; i < 3; i++)
        {
            using var response = await stage.GetAsync(stage.Blob(body));
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }

        Assert.Equal(1, stage.Remote.Absent);
        Assert.Single(_s3.Asked);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(25, 1)]
    public async Task What_is_read_a_day_after_it_was_written_is_written_anew_by_the_store_itself(int hours, int copies)
    {
        var (old, after) = (TemporaryCache.Body(1000), TemporaryCache.Body(1000));
        _s3.Put(old, age: TimeSpan.FromHours(hours));
        _s3.Put(after, age: TimeSpan.FromHours(48));
        var stage = await StartAsync(old, after);
        await stage.ExpectAsync("HIT", old);
        await stage.ExpectAsync("HIT", after);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote.Refreshed == copies + 1));
        Assert.Equal(copies + 1, _s3.Asked.Count(asked => asked.StartsWith("PUT", StringComparison.Ordinal)));
        Assert.InRange(DateTimeOffset.UtcNow - _s3.Objects[TestS3.KeyOf(after)].Modified, TimeSpan.Zero, TimeSpan.FromMinutes(5));
        Assert.Equal(after, _s3[after]);
    }

    private Task<CacheStage> StartAsync(params byte[][] bodies) => StartAsync(TestS3.Options(_store.Address), bodies);

    private Task<CacheStage> StartAsync(RemoteOptions remote, params byte[][] bodies) => StartAsync(remote, _ => { }, bodies);

    private async Task<CacheStage> StartAsync(RemoteOptions remote, Action<CacheStage> prepare, params byte[][] bodies)
    {
        var stage = await CacheStage.StartAsync(options => options with { Remote = remote }, stage =>
        {
            foreach (var (name, value) in TestS3.Variables)
                stage.RemoteVariables[name] = value;
            prepare(stage);
        });
        _stages.Add(stage);
        stage.Serve(bodies);
        return stage;
    }
}
