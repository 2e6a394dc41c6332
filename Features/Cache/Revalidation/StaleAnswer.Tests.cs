using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>Package registries that are away, or half away.</summary>
public sealed class StaleAnswerTests : IAsyncLifetime
{
    private CacheStage _stage = null!;
    private string _body = "one";
    private string _control = "max-age=3600";

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Origin = AnswerAsync;
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData(404)]
    [InlineData(410)]
    public async Task What_is_not_there_is_repeated_while_the_registry_is_away_and_only_then(int status)
    {
        var index = _stage.Url("/debian/dists/stable/InRelease");
        await _stage.FetchAsync(index);
        _stage.Origin = context =>
        {
            context.Response.Headers.CacheControl = "max-age=600, stale-while-revalidate=600";
            context.Response.Headers.ETag = "\"none\"";
            context.Response.StatusCode = status;
            return WriteAsync(context, "nothing");
        };
        foreach (var wish in new[] { "max-age=0", "max-stale" })
        {
            using var response = await _stage.GetAsync(index, r => r.Headers.TryAddWithoutValidation("Cache-Control", wish));
            Assert.Equal((status, "MISS"), ((int)response.StatusCode, CacheStage.XCache(response)));
        }

        Assert.Equal(3, _stage.Asked.Count);

        // It is no answer for an origin that cannot serve, and none that a condition could be about.
        _stage.Origin = context => CacheStage.Status(context, 503);
        using (var ill = await _stage.GetAsync(index))
            Assert.Equal(503, (int)ill.StatusCode);
        _stage.Origin = context => CacheStage.Status(context, context.Request.Headers.IfNoneMatch.Count == 1 ? 304 : 500);
        using (var client = await _stage.GetAsync(index, r => r.Headers.TryAddWithoutValidation("If-None-Match", "\"own\"")))
            Assert.Equal(304, (int)client.StatusCode);
        using (var plain = await _stage.GetAsync(index))
            Assert.Equal(500, (int)plain.StatusCode);

        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        await _stage.RestartAsync();
        using (var away = await _stage.GetAsync(index))
            Assert.Equal((status, true, "nothing"), ((int)away.StatusCode, away.Headers.Contains("Warning"), await away.Content.ReadAsStringAsync()));
        using var other = await _stage.GetAsync(_stage.Url("/debian/dists/stable/Release"));
        Assert.Equal(502, (int)other.StatusCode);
    }

    [Fact]
    public async Task What_has_come_to_be_there_takes_the_place_of_what_was_not()
    {
        var index = _stage.Url("/simple/thing/");
        _stage.Origin = context => CacheStage.Status(context, 404);
        (await _stage.GetAsync(index)).Dispose();
        _stage.Origin = AnswerAsync;
        Assert.Equal(("one", "MISS"), (await _stage.FetchAsync(index)).AsText());
        await _stage.Store.CommittedAsync();
        await _stage.StopOriginAsync();
        await _stage.RestartAsync();
        Assert.Equal(("one", "HIT"), (await _stage.FetchAsync(index)).AsText());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(503)]
    public async Task Old_documents_of_a_distribution_are_not_shown_beside_new_ones_while_the_registry_is_there(int status)
    {
        var first = _stage.Url("/debian/dists/stable/InRelease");
        var second = _stage.Url("/debian/dists/stable/main/binary-amd64/Packages.xz");
        await _stage.FetchAsync(first);
        await _stage.FetchAsync(second);
        var confirmed = DateTimeOffset.UtcNow;
        await CacheStage.EventuallyAsync(() => DateTimeOffset.UtcNow - confirmed > TimeSpan.FromMilliseconds(1));
        _body = "two";
        _stage.Origin = context =>
        {
            if (context.Request.Path.Value!.EndsWith("InRelease", StringComparison.Ordinal))
                return AnswerAsync(context);
            if (status != 0)
                return CacheStage.Status(context, status);
            context.Abort();
            return Task.CompletedTask;
        };
        Assert.Equal(("two", "MISS"), (await _stage.FetchAsync(first)).AsText());
        using (var broken = await _stage.GetAsync(second))
            Assert.Equal(status == 0 ? 502 : status, (int)broken.StatusCode);

        // What it still has is not given up for it.
        _stage.Origin = AnswerAsync;
        Assert.Equal(("two", "MISS"), (await _stage.FetchAsync(second)).AsText());
        await _stage.StopOriginAsync();
        foreach (var document in new[] { first, second })
            Assert.Equal(("two", "HIT"), (await _stage.FetchAsync(document)).AsText());
    }

    [Fact]
    public async Task A_distribution_whose_registry_says_503_to_everything_is_stood_in_for()
    {
        var documents = new[] { "/debian/dists/stable/InRelease", "/debian/dists/stable/main/binary-amd64/Packages.xz", "/f/repodata/repomd.xml", "/v3/main/x86_64/APKINDEX.tar.gz" };
        foreach (var document in documents)
            await _stage.FetchAsync(_stage.Url(document));
        _stage.Origin = context => CacheStage.Status(context, 503);
        foreach (var document in documents)
            Assert.Equal(("one", "HIT"), (await _stage.FetchAsync(_stage.Url(document))).AsText());
    }

    /// <summary>Also what a parent proxy says of a registry behind it, which for plain HTTP is an answer like any other.</summary>
    [Theory]
    [InlineData("max-age=0", 502, true)]
    [InlineData("max-age=0", 503, true)]
    [InlineData("max-age=0", 504, true)]
    [InlineData("max-age=0", 500, false)]
    [InlineData("max-age=0", 429, false)]
    [InlineData("max-age=0, stale-if-error=60", 500, true)]
    [InlineData("max-age=0, must-revalidate", 503, false)]
    [InlineData("max-age=0, proxy-revalidate", 503, false)]
    [InlineData("no-cache", 503, false)]
    public async Task A_package_registry_that_is_there_and_cannot_serve_is_stood_in_for_unless_that_is_forbidden(string control, int status, bool answers)
    {
        _control = control;
        var index = _stage.Url("/simple/thing/");
        await _stage.FetchAsync(index);
        _stage.Origin = context => CacheStage.Status(context, status);
        using (var response = await _stage.GetAsync(index))
            Assert.Equal((answers ? 200 : status, answers), ((int)response.StatusCode, response.Headers.Contains("Warning")));
        using (var wished = await _stage.GetAsync(index, r => r.Headers.TryAddWithoutValidation("Cache-Control", "no-cache")))
            Assert.Equal(status, (int)wished.StatusCode);

        _stage.Options = _stage.Options with { OfflineServes = false };
        await _stage.Store.CommittedAsync();
        await _stage.RestartAsync();
        using var off = await _stage.GetAsync(index);
        Assert.Equal(control.Contains("stale-if-error", StringComparison.Ordinal) ? 200 : status, (int)off.StatusCode);
    }

    private Task AnswerAsync(HttpContext context)
    {
        var tag = $"\"{_body}\"";
        context.Response.Headers.ETag = tag;
        context.Response.Headers.CacheControl = _control;
        return context.Request.Headers.IfNoneMatch == tag ? CacheStage.Status(context, 304) : WriteAsync(context, _body);
    }

    private static Task WriteAsync(HttpContext context, string text)
    {
        context.Response.ContentLength = text.Length;
        return context.Response.WriteAsync(text);
    }
}
