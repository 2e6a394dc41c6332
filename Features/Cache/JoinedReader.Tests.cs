using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache;

/// <summary>Somebody else's download that stalls in the middle.</summary>
public sealed class JoinedReaderTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(700_000);
    private readonly TaskCompletionSource _goOn = new();
    private readonly List<string> _asked = [];
    private CacheStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CacheStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task A_joiner_asks_for_the_rest_by_itself_and_the_download_goes_on_for_the_others()
    {
        ServeStalling((context, from) => Results.Bytes(_body, enableRangeProcessing: true).ExecuteAsync(context));
        var (leader, joiner) = await StartAsync();

        Assert.Equal(_body, await joiner.Content.ReadAsByteArrayAsync().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(["", "bytes=300000-"], _asked);

        _goOn.SetResult();
        Assert.Equal(_body, await leader.Content.ReadAsByteArrayAsync());
        await _stage.ExpectAsync("HIT", _body);
        Assert.Equal(2, _asked.Count);
        joiner.Dispose();
        leader.Dispose();
    }

    [Fact]
    public async Task One_whose_own_request_is_refused_stays_with_the_download()
    {
        var refused = new TaskCompletionSource();
        ServeStalling((context, from) =>
        {
            refused.TrySetResult();
            return CacheStage.Status(context, 401);
        });
        var (leader, joiner) = await StartAsync();
        await refused.Task.WaitAsync(TimeSpan.FromSeconds(20));

        _goOn.SetResult();

        Assert.Equal(_body, await joiner.Content.ReadAsByteArrayAsync());
        Assert.Equal(_body, await leader.Content.ReadAsByteArrayAsync());
        joiner.Dispose();
        leader.Dispose();
    }

    private void ServeStalling(Func<HttpContext, string, Task> rest) => _stage.Origin = async context =>
    {
        var range = context.Request.Headers.Range.ToString();
        lock (_asked)
            _asked.Add(range);
        if (range.Length > 0)
        {
            await rest(context, range);
            return;
        }

        context.Response.ContentLength = _body.Length;
        await context.Response.Body.WriteAsync(_body.AsMemory(0, 300_000));
        await _goOn.Task;
        await context.Response.Body.WriteAsync(_body.AsMemory(300_000));
    };

    private async Task<(HttpResponseMessage Leader, HttpResponseMessage Joiner)> StartAsync()
    {
        var leader = await _stage.GetAsync(_stage.Blob(_body));
        var joiner = await _stage.GetAsync(_stage.Blob(_body));
        return (leader, joiner);
    }
}
