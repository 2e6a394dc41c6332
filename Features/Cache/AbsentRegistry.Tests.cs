using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache;

public sealed class AbsentRegistryTests : IAsyncLifetime
{
    private readonly byte[] _manifest = TemporaryCache.Body(700);
    private readonly byte[] _layer = TemporaryCache.Body(500_000);
    private CacheStage _stage = null!;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Serve(_manifest, _layer);
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    private Uri Manifest => _stage.Url($"/v2/a/manifests/sha256:{TemporaryCache.HexOf(_manifest)}");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_pull_by_digest_needs_no_registry_once_it_was_pulled(bool restarted)
    {
        await _stage.FetchAsync(Manifest);
        await _stage.FetchAsync(_stage.Blob(_layer));
        await _stage.StopOriginAsync();
        if (restarted)
            await _stage.RestartAsync();

        using var ping = await _stage.GetAsync(_stage.Url("/v2/"));
        Assert.Equal((HttpStatusCode.OK, "registry/2.0"), (ping.StatusCode, ping.Headers.GetValues("Docker-Distribution-Api-Version").Single()));
        using var head = new HttpRequestMessage(HttpMethod.Head, Manifest);
        using var known = await _stage.Client.SendAsync(head);
        Assert.Equal((HttpStatusCode.OK, 700L), (known.StatusCode, known.Content.Headers.ContentLength));
        using var manifest = await _stage.GetAsync(Manifest, r => r.Headers.Authorization = new("Bearer", "expired"));
        Assert.Equal(_manifest, await manifest.Content.ReadAsByteArrayAsync());
        await _stage.ExpectAsync("HIT", _layer);
    }

    [Fact]
    public async Task While_the_registry_is_there_its_own_answer_counts()
    {
        await _stage.FetchAsync(Manifest);
        _stage.Origin = context =>
        {
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"https://auth.test/token\"";
            return CacheStage.Status(context, 401);
        };
        using var ping = await _stage.GetAsync(_stage.Url("/v2/"));
        Assert.Equal(HttpStatusCode.Unauthorized, ping.StatusCode);
        Assert.Contains("realm", ping.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Null(CacheStage.XCache(ping));
    }

    [Fact]
    public async Task A_gateway_that_says_the_registry_is_away_is_believed()
    {
        await _stage.FetchAsync(Manifest);
        _stage.Origin = context => CacheStage.Status(context, 503);
        using var ping = await _stage.GetAsync(_stage.Url("/v2/"));
        Assert.Equal(HttpStatusCode.OK, ping.StatusCode);
        Assert.Equal(1, _stage.Stats.Offline);
    }

    [Fact]
    public async Task A_registry_of_which_nothing_is_stored_is_just_unreachable()
    {
        await _stage.StopOriginAsync();
        using var ping = await _stage.GetAsync(_stage.Url("/v2/"));
        Assert.Equal(HttpStatusCode.BadGateway, ping.StatusCode);
        using var blob = await _stage.GetAsync(_stage.Blob(_layer));
        Assert.Equal(HttpStatusCode.BadGateway, blob.StatusCode);
    }
}
