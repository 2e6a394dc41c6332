using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Registries;

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

    [Theory]
    [InlineData(503)]
    [InlineData(502)]
    [InlineData(500)]
    public async Task A_registry_that_is_ill_is_not_spoken_for(int status)
    {
        await _stage.FetchAsync(Manifest);
        _stage.Origin = context => CacheStage.Status(context, status);
        using var ping = await _stage.GetAsync(_stage.Url("/v2/"));
        Assert.Equal((HttpStatusCode)status, ping.StatusCode);
        Assert.Equal(0, _stage.Stats.Offline);
    }

    [Fact]
    public async Task A_registry_that_closes_the_connection_is_not_spoken_for()
    {
        await _stage.FetchAsync(Manifest);
        _stage.Origin = context =>
        {
            context.Abort();
            return Task.CompletedTask;
        };
        using var ping = await _stage.GetAsync(_stage.Url("/v2/"));
        Assert.Equal(HttpStatusCode.BadGateway, ping.StatusCode);
    }

    [Fact]
    public async Task Nobody_logs_in_to_a_registry_that_is_away()
    {
        await _stage.FetchAsync(Manifest);
        await _stage.StopOriginAsync();
        using var login = await _stage.GetAsync(_stage.Url("/v2/"), r => r.Headers.Authorization = new("Basic", "dTp3cm9uZw=="));
        Assert.Equal(HttpStatusCode.BadGateway, login.StatusCode);
    }

    [Fact]
    public async Task With_the_registry_away_a_body_answers_for_its_other_repositories_with_fields_of_its_own_and_for_no_other_host()
    {
        var manifest = System.Text.Encoding.UTF8.GetBytes("""{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}""");
        _stage.Serve(manifest, _layer);
        var hex = TemporaryCache.HexOf(manifest);
        await _stage.FetchAsync(_stage.Url($"/v2/a/blobs/sha256:{hex}"));
        await _stage.FetchAsync(_stage.Blob(_layer));
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();

        using var layer = await _stage.GetAsync(_stage.Url($"/v2/b/blobs/sha256:{TemporaryCache.HexOf(_layer)}"));
        Assert.Equal((HttpStatusCode.OK, "application/octet-stream", null), (layer.StatusCode, layer.Content.Headers.ContentType!.ToString(), layer.Headers.ETag));
        Assert.Equal(_layer, await layer.Content.ReadAsByteArrayAsync());
        using var typed = await _stage.GetAsync(_stage.Url($"/v2/b/manifests/sha256:{hex}"));
        Assert.Equal("application/vnd.oci.image.manifest.v1+json", typed.Content.Headers.ContentType!.ToString());
        using var elsewhere = await _stage.GetAsync(_stage.Elsewhere(_stage.Blob(_layer).PathAndQuery));
        Assert.Equal(HttpStatusCode.BadGateway, elsewhere.StatusCode);
        using var exists = new HttpRequestMessage(HttpMethod.Head, _stage.Url($"/v2/b/blobs/sha256:{TemporaryCache.HexOf(_layer)}"));
        using var unknown = await _stage.Client.SendAsync(exists);
        Assert.Equal(HttpStatusCode.BadGateway, unknown.StatusCode);
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
