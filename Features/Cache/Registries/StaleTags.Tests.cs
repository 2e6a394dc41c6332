using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Registries;

public sealed class StaleTagsTests : IAsyncLifetime
{
    private const string Type = "application/vnd.oci.image.manifest.v1+json";
    private readonly byte[] _manifest = "{\"schemaVersion\":2}"u8.ToArray();
    private CacheStage _stage = null!;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync(o => o with { StaleTags = true });
        _stage.Origin = async context =>
        {
            context.Response.ContentType = Type;
            context.Response.ContentLength = _manifest.Length;
            context.Response.Headers["Docker-Content-Digest"] = $"sha256:{TemporaryCache.HexOf(_manifest)}";
            if (HttpMethods.IsGet(context.Request.Method))
                await context.Response.Body.WriteAsync(_manifest);
        };
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    private Uri Tag => _stage.Url("/v2/x/manifests/latest");

    [Theory]
    [InlineData(true, 503)]
    [InlineData(true, 429)]
    [InlineData(false, 503)]
    [InlineData(true, 0)]
    [InlineData(false, 0)]
    public async Task A_tag_answers_with_what_it_last_was_while_its_registry_is_ill_or_away(bool byGet, int status)
    {
        if (byGet)
        {
            await _stage.FetchAsync(Tag);
        }
        else
        {
            // As dockerd does it.
            (await HeadAsync()).Dispose();
            await _stage.FetchAsync(_stage.Url($"/v2/x/manifests/sha256:{TemporaryCache.HexOf(_manifest)}"));
        }

        await CacheStage.EventuallyAsync(() => _stage.Stats.Entries == (byGet ? 1 : 2));
        await _stage.Store.CommittedAsync();
        if (status == 0)
            await _stage.StopOriginAsync();
        else
            _stage.Origin = context => CacheStage.Status(context, status);
        await _stage.RestartAsync();

        using var stale = await _stage.GetAsync(Tag, r => r.Headers.TryAddWithoutValidation("Accept", Type));
        Assert.Equal((HttpStatusCode.OK, "HIT", Type), (stale.StatusCode, CacheStage.XCache(stale), stale.Content.Headers.ContentType!.ToString()));
        Assert.StartsWith("111", stale.Headers.GetValues("Warning").Single(), StringComparison.Ordinal);
        Assert.Equal(_manifest, await stale.Content.ReadAsByteArrayAsync());
        using var head = await HeadAsync();
        Assert.Equal((HttpStatusCode.OK, (long?)_manifest.Length), (head.StatusCode, head.Content.Headers.ContentLength));
        using var other = await _stage.GetAsync(Tag, r => r.Headers.TryAddWithoutValidation("Accept", "application/vnd.oci.image.index.v1+json"));
        Assert.False(other.IsSuccessStatusCode);
        using var unknown = await _stage.GetAsync(_stage.Url("/v2/x/manifests/other"));
        Assert.False(unknown.IsSuccessStatusCode);
    }

    /// <summary>As what is named by its digest: who may use the proxy may have what came through it.</summary>
    [Theory]
    [InlineData("Bearer ann", true)]
    [InlineData(null, true)]
    [InlineData("Bearer ann", false)]
    public async Task It_is_shown_to_whoever_asks_whatever_credential_he_has(string? credential, bool byGet)
    {
        Action<HttpRequestMessage> asTom = r => r.Headers.TryAddWithoutValidation("Authorization", "Bearer tom");
        if (!byGet)
            (await HeadAsync(asTom)).Dispose();
        using (var first = await _stage.GetAsync(byGet ? Tag : _stage.Url($"/v2/x/manifests/sha256:{TemporaryCache.HexOf(_manifest)}"), asTom))
            Assert.Equal(_manifest, await first.Content.ReadAsByteArrayAsync());
        await CacheStage.EventuallyAsync(() => _stage.Stats.Entries == (byGet ? 1 : 2));
        _stage.Origin = context => CacheStage.Status(context, 503);
        using var stale = await _stage.GetAsync(Tag, r =>
        {
            if (credential is not null)
                r.Headers.TryAddWithoutValidation("Authorization", credential);
        });
        Assert.Equal((HttpStatusCode.OK, "HIT"), (stale.StatusCode, CacheStage.XCache(stale)));
        Assert.Equal(_manifest, await stale.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("private", true)]
    [InlineData("private", false)]
    [InlineData("no-store", true)]
    [InlineData("no-store", false)]
    public async Task A_tag_that_its_registry_calls_private_or_not_to_be_stored_is_not_kept(string control, bool byGet)
    {
        var answers = _stage.Origin;
        _stage.Origin = context =>
        {
            context.Response.Headers.CacheControl = context.Request.Path.Value!.EndsWith("latest", StringComparison.Ordinal) ? control : default;
            return answers(context);
        };
        if (byGet)
            await _stage.FetchAsync(Tag);
        else
            (await HeadAsync()).Dispose();
        await _stage.FetchAsync(_stage.Url($"/v2/x/manifests/sha256:{TemporaryCache.HexOf(_manifest)}"));
        await CacheStage.EventuallyAsync(() => _stage.Stats.Entries == 1);
        await _stage.Store.CommittedAsync();
        _stage.Origin = context => CacheStage.Status(context, 503);
        using var ill = await _stage.GetAsync(Tag);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ill.StatusCode);
    }

    [Theory]
    [InlineData("private", true)]
    [InlineData("private", false)]
    [InlineData("no-store", true)]
    [InlineData("no-store", false)]
    public async Task What_was_kept_of_it_is_gone_when_its_registry_calls_it_private_or_not_to_be_stored(string control, bool byGet)
    {
        var digest = _stage.Url($"/v2/x/manifests/sha256:{TemporaryCache.HexOf(_manifest)}");
        if (byGet)
        {
            await _stage.FetchAsync(Tag);
            await CacheStage.EventuallyAsync(() => _stage.Stats.Entries == 1);
        }
        else
        {
            // Announced, and its body comes only after the next answer.
            (await HeadAsync()).Dispose();
        }

        var answers = _stage.Origin;
        _stage.Origin = context =>
        {
            context.Response.Headers.CacheControl = context.Request.Path.Value!.EndsWith("latest", StringComparison.Ordinal) ? control : default;
            return answers(context);
        };
        (await HeadAsync()).Dispose();
        await _stage.FetchAsync(digest);
        await CacheStage.EventuallyAsync(() => _stage.Stats.Entries == 1);
        await _stage.Store.CommittedAsync();
        _stage.Origin = context => CacheStage.Status(context, 503);
        using var ill = await _stage.GetAsync(Tag);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ill.StatusCode);
    }

    /// <summary>Pushed anew while the former one was asked for, or announced and not yet fetched.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_tag_was_before_it_was_pushed_is_not_kept(bool byGet)
    {
        var (answers, go) = (_stage.Origin, new TaskCompletionSource());
        if (byGet)
        {
            _stage.Origin = async context =>
            {
                await go.Task.WaitAsync(TimeSpan.FromSeconds(60));
                await answers(context);
            };
        }

        var before = byGet ? _stage.GetAsync(Tag) : HeadAsync();
        await CacheStage.EventuallyAsync(() => !_stage.Asked.IsEmpty);
        if (!byGet)
            (await before).Dispose();
        _stage.Origin = context => CacheStage.Status(context, 201);
        (await _stage.Client.PutAsync(Tag, null)).Dispose();
        _stage.Origin = answers;
        go.SetResult();
        if (byGet)
        {
            using var late = await before;
            Assert.Equal(_manifest, await late.Content.ReadAsByteArrayAsync());
        }

        await _stage.FetchAsync(_stage.Url($"/v2/x/manifests/sha256:{TemporaryCache.HexOf(_manifest)}"));
        await CacheStage.EventuallyAsync(() => _stage.Stats.Entries == 1);
        await _stage.Store.CommittedAsync();
        _stage.Origin = context => CacheStage.Status(context, 503);
        using var ill = await _stage.GetAsync(Tag);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ill.StatusCode);
    }

    [Fact]
    public async Task While_the_registry_is_there_its_own_answer_counts()
    {
        await _stage.FetchAsync(Tag);
        await _stage.FetchAsync(Tag);
        Assert.Equal(2, _stage.Asked.Count);
        _stage.Origin = context => CacheStage.Status(context, 404);
        using var gone = await _stage.GetAsync(Tag);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        _stage.Origin = context => CacheStage.Status(context, 503);
        using var ill = await _stage.GetAsync(Tag);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ill.StatusCode);
    }

    [Fact]
    public async Task Without_the_option_nothing_of_it_happens()
    {
        _stage.Rules.Replace(new CacheRules(_stage.Options with { StaleTags = false }));
        await _stage.FetchAsync(Tag);
        Assert.Empty(_stage.Files.Files());
        _stage.Origin = context => CacheStage.Status(context, 503);
        using var ill = await _stage.GetAsync(Tag);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ill.StatusCode);
    }

    private async Task<HttpResponseMessage> HeadAsync(Action<HttpRequestMessage>? change = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, Tag);
        change?.Invoke(request);
        return await _stage.Client.SendAsync(request);
    }
}
