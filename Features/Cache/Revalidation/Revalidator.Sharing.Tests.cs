using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>Many clients of one package file at once.</summary>
public sealed class RevalidatorSharingTests : IAsyncLifetime
{
    private const int Clients = 20;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly byte[] _body = TemporaryCache.Body(600_000);
    private readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CacheStage _stage = null!;
    private string? _control;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Origin = AnswerAsync;
        _stage.Time.IsPatient = true;
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("/left/-/left-1.0.0.tgz", null)]
    [InlineData("/packages/aa/thing-1.0.tar.gz", "max-age=60")]
    [InlineData("/simple/left/", null)]
    [InlineData("/debian/dists/stable/InRelease", "no-cache")]
    public async Task Those_who_ask_before_the_answer_comes_cause_one_download(string path, string? control)
    {
        _control = control;
        var (streaming, all) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        _stage.Origin = async context =>
        {
            await _go.Task.WaitAsync(Limit);
            context.Response.Headers.CacheControl = _control;
            context.Response.ContentLength = _body.Length;
            await context.Response.Body.WriteAsync(_body.AsMemory(0, 300_000));
            await all.Task.WaitAsync(Limit);
            await context.Response.Body.WriteAsync(_body.AsMemory(300_000));
        };
        var clients = Enumerable.Range(0, Clients).Select(async _ =>
        {
            using var response = await _stage.GetAsync(_stage.Url(path));
            await using var stream = await response.Content.ReadAsStreamAsync();
            var bytes = new byte[_body.Length];
            await stream.ReadExactlyAsync(bytes.AsMemory(0, 1000));
            if (Interlocked.Increment(ref streaming) == Clients)
                all.SetResult();
            await stream.ReadExactlyAsync(bytes.AsMemory(1000));
            return bytes;
        }).ToList();
        await JoinedAsync(Clients - 1);
        _go.SetResult();
        foreach (var bytes in await Task.WhenAll(clients).WaitAsync(Limit))
            Assert.Equal(_body, bytes);
        Assert.Single(_stage.Asked);
        Assert.Equal((Clients - 1, 1), (_stage.Stats.Shared, _stage.Stats.Stores - (path.EndsWith('/') || path.EndsWith("InRelease", StringComparison.Ordinal) ? 1 : 0)));
    }

    /// <summary>It may be over before anybody has joined it.</summary>
    [Fact]
    public async Task What_is_small_is_one_download_too()
    {
        _stage.Origin = async context =>
        {
            await _go.Task.WaitAsync(Limit);
            await context.Response.WriteAsync("small");
        };
        var clients = Enumerable.Range(0, Clients).Select(_ => _stage.FetchAsync(_stage.Url("/simple/left/"))).ToList();
        await JoinedAsync(Clients - 1);
        _go.SetResult();
        Assert.All(await Task.WhenAll(clients).WaitAsync(Limit), answer => Assert.Equal("small"u8.ToArray(), answer.Body));
        Assert.Single(_stage.Asked);
    }

    [Fact]
    public async Task Who_comes_while_it_is_being_downloaded_streams_along()
    {
        var half = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            context.Response.ContentLength = _body.Length;
            await context.Response.Body.WriteAsync(_body.AsMemory(0, 300_000));
            await half.Task.WaitAsync(Limit);
            await context.Response.Body.WriteAsync(_body.AsMemory(300_000));
        };
        using var first = await _stage.GetAsync(File);
        using var second = await _stage.GetAsync(File);
        Assert.Contains("collapsed", second.Headers.GetValues("Cache-Status").Single(), StringComparison.Ordinal);
        await using var stream = await second.Content.ReadAsStreamAsync();
        var bytes = new byte[_body.Length];
        await stream.ReadExactlyAsync(bytes.AsMemory(0, 1000));
        half.SetResult();
        await stream.ReadExactlyAsync(bytes.AsMemory(1000));
        Assert.Equal(_body, bytes);
        Assert.Single(_stage.Asked);
    }

    [Theory]
    [InlineData("broken")]
    [InlineData("refused")]
    [InlineData("gone")]
    public async Task The_failure_of_whoever_came_first_is_his_alone(string how)
    {
        using var leaving = new CancellationTokenSource();
        var serve = _stage.Origin;
        _stage.Origin = async context =>
        {
            if (_stage.Asked.Count > 1)
            {
                await serve(context);
                return;
            }

            await _go.Task.WaitAsync(Limit);
            if (how == "broken")
                context.Abort();
            else
                await CacheStage.Status(context, 403);
        };
        var first = _stage.Client.GetAsync(File, leaving.Token);
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        var others = Enumerable.Range(1, 3).Select(_ => _stage.FetchAsync(File)).ToList();
        await JoinedAsync(3);
        if (how == "gone")
            await leaving.CancelAsync();
        else
            _go.SetResult();
        if (how == "gone")
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        else
            Assert.Equal(how == "broken" ? HttpStatusCode.BadGateway : HttpStatusCode.Forbidden, (await first).StatusCode);
        _go.TrySetResult();
        foreach (var (bytes, _) in await Task.WhenAll(others).WaitAsync(Limit))
            Assert.Equal(_body, bytes);
    }

    [Fact]
    public async Task What_is_answered_otherwise_to_another_is_not_his()
    {
        _stage.Origin = async context =>
        {
            await _go.Task.WaitAsync(Limit);
            context.Response.Headers.Vary = "X-Requested-With";
            context.Response.Headers.SetCookie = "session=1";
            await context.Response.WriteAsync($"for {context.Request.Headers["X-Requested-With"]}");
        };
        string?[] who = ["a", "a", "b"];
        var answers = who.Select(async one =>
        {
            using var response = await _stage.GetAsync(_stage.Url("/simple/left/"), r => r.Headers.TryAddWithoutValidation("X-Requested-With", one));
            return (Text: await response.Content.ReadAsStringAsync(), Cookies: response.Headers.Contains("Set-Cookie"));
        }).ToList();
        await JoinedAsync(2);
        _go.SetResult();
        var got = await Task.WhenAll(answers).WaitAsync(Limit);
        Assert.Equal(who.Select(one => $"for {one}"), got.Select(a => a.Text));
        // A cookie is for whoever asked for it.
        Assert.Equal(_stage.Asked.Count, got.Count(a => a.Cookies));
    }

    [Fact]
    public async Task After_a_write_nobody_joins_what_was_asked_for_before()
    {
        var index = _stage.Url("/simple/left/");
        var before = _stage.FetchAsync(index);
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        _stage.Origin = context => HttpMethods.IsPut(context.Request.Method) ? CacheStage.Status(context, 201) : context.Response.WriteAsync("written");
        (await _stage.Client.PutAsync(index, null)).Dispose();
        Assert.Equal("written"u8.ToArray(), (await _stage.FetchAsync(index).WaitAsync(Limit)).Body);
        _go.SetResult();
        Assert.Equal(_body, (await before.WaitAsync(Limit)).Body);
        await _stage.Store.CommittedAsync();
        // Of the one that came last, though it was asked for first, nothing is kept.
        await _stage.StopOriginAsync();
        Assert.Equal("written"u8.ToArray(), (await _stage.FetchAsync(index).WaitAsync(Limit)).Body);
    }

    private Uri File => _stage.Url("/left/-/left-1.0.0.tgz");

    private Task JoinedAsync(int count) => CacheStage.EventuallyAsync(() => _stage.Time.Joined >= count);

    private async Task AnswerAsync(HttpContext context)
    {
        await _go.Task.WaitAsync(Limit);
        context.Response.Headers.CacheControl = _control;
        context.Response.ContentLength = _body.Length;
        await context.Response.Body.WriteAsync(_body);
    }
}
