using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Policy;

/// <summary>What must never be stored, and that the client still gets what upstream sent.</summary>
public sealed class StorableAnswerTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(600_000);
    private CacheStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CacheStage.StartAsync(o => o with
    {
        Patterns = [.. o.Patterns, new("^/plain/", System.Text.RegularExpressions.RegexOptions.NonBacktracking)],
        MaxSize = 1 << 20,
    });

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("/v2/a/manifests/latest", "")]
    [InlineData("/v2/a/tags/list", "")]
    [InlineData("/other", "")]
    [InlineData("BLOB", "Cache-Control: no-store")]
    [InlineData("BLOB", "Cache-Control: No-Store, private")]
    [InlineData("BLOB", "Content-Encoding: gzip")]
    [InlineData("/plain/x", "Content-Encoding: zstd")]
    [InlineData("/plain/x", "Set-Cookie: a=b")]
    [InlineData("/plain/x", "Vary: *")]
    [InlineData("/plain/x", "Vary: Cookie")]
    [InlineData("/plain/x", "Cache-Control: no-store")]
    [InlineData("/plain/x", "Cache-Control: no-store, max-age=abc")]
    [InlineData("/plain/x", "Cache-Control: max-age=\"1, no-store")]
    [InlineData("/plain/x", "Cache-Control: no-cache, private")]
    [InlineData("/plain/x", "Cache-Control: PRIVATE=\"x\";max-age=1")]
    [InlineData("/plain/x", "Cache-Control: max-age=abc")]
    [InlineData("/plain/x", "Cache-Control: max-age=99999999999999999999")]
    [InlineData("/plain/x", "Cache-Control: no store")]
    [InlineData("/plain/x", "Vary: Cookie;x")]
    [InlineData("/plain/x", "Content-Encoding: gzip;x")]
    [InlineData("BLOB", "Cache-Control: no-store, max-age=abc")]
    [InlineData("BLOB", "Cache-Control: max-age=1 no-store")]
    public async Task Such_an_answer_passes_and_is_not_stored(string path, string field)
    {
        _stage.Origin = context =>
        {
            if (field.Split(": ") is [var name, var value])
                context.Response.Headers[name] = value;
            return context.Response.Body.WriteAsync(_body).AsTask();
        };
        var url = path == "BLOB" ? _stage.Blob(_body) : _stage.Url(path);
        for (var i = 1; i <= 2; i++)
        {
            using var response = await _stage.GetAsync(url);
            Assert.Equal(_body, await response.Content.ReadAsByteArrayAsync());
            if (field.Split(": ") is [var name, var value])
                Assert.Equal(value, string.Join(", ", response.Headers.Concat(response.Content.Headers).Single(h => h.Key == name).Value), ignoreCase: true);
            Assert.Equal(i, _stage.Asked.Count);
        }

        Assert.Empty(_stage.Files.Files());
    }

    [Theory]
    [InlineData("/plain/x", "")]
    [InlineData("/plain/x", "Vary: Accept-Encoding")]
    [InlineData("/v2/library/ubuntu/blobs/sha256:abc123", "")]
    [InlineData("BLOB", "Set-Cookie: a=b")]
    [InlineData("BLOB", "Cache-Control: private")]
    [InlineData("BLOB", "Cache-Control: private, max-age=0")]
    public async Task Such_an_answer_is_stored(string path, string field)
    {
        _stage.Origin = context =>
        {
            if (field.Split(": ") is [var name, var value])
                context.Response.Headers[name] = value;
            return context.Response.Body.WriteAsync(_body).AsTask();
        };
        var url = path == "BLOB" ? _stage.Blob(_body) : _stage.Url(path);
        await _stage.ExpectAsync("MISS", _body, url);
        using var response = await _stage.GetAsync(url);
        Assert.Equal("HIT", CacheStage.XCache(response));
        Assert.Equal(_body, await response.Content.ReadAsByteArrayAsync());
        Assert.False(response.Headers.Contains("Set-Cookie"));
    }

    /// <summary>An address that names no digest, of a server that lets in who shows a token, in whatever field or parameter it takes it.</summary>
    [Theory]
    [InlineData("Authorization", "")]
    [InlineData("Cookie", "")]
    [InlineData("Private-Token", "")]
    [InlineData("X-Anything", "")]
    [InlineData("", "?X-Amz-Credential=k&X-Amz-Signature=good")]
    [InlineData("", "?Signature=good")]
    public async Task What_a_credential_was_answered_is_shown_to_nobody_else(string field, string query)
    {
        _stage.Origin = context => context.Request.Headers[field] == "good" || context.Request.QueryString.Value!.Contains("good", StringComparison.Ordinal)
            ? context.Response.Body.WriteAsync(_body).AsTask() : CacheStage.Status(context, 403);
        for (var i = 0; i < 2; i++)
        {
            using (var mine = await _stage.GetAsync(_stage.Url("/plain/x" + query), Say("good")))
                Assert.Equal(_body, await mine.Content.ReadAsByteArrayAsync());
            await _stage.Store.CommittedAsync();
            using (var nobodys = await _stage.GetAsync(_stage.Url("/plain/x")))
                Assert.Equal(403, (int)nobodys.StatusCode);
            using (var anothers = await _stage.GetAsync(_stage.Url("/plain/x" + query.Replace("good", "bad", StringComparison.Ordinal)), Say("bad")))
                Assert.Equal(403, (int)anothers.StatusCode);
        }

        // The same where a rule names the address too.
        if (_stage.Options.Rules.IsEmpty)
        {
            _stage.Options = _stage.Options with { Rules = [new() { Mode = Revalidation.CacheMode.Immutable, Pattern = new("^/plain/") }] };
            await _stage.RestartAsync();
            await What_a_credential_was_answered_is_shown_to_nobody_else(field, query);
        }

        Action<HttpRequestMessage> Say(string value) => request =>
        {
            if (field.Length > 0)
                request.Headers.Add(field, value);
        };
    }

    /// <summary>It kept for everybody what it was answered to a credential. What a digest names is the same for all.</summary>
    [Theory]
    [InlineData("\"version\":2,")]
    [InlineData("\"version\":1,")]
    public async Task What_an_earlier_version_kept_of_an_address_without_a_digest_is_shown_to_nobody(string version)
    {
        var blob = $"/v2/a/blobs/sha256:{TemporaryCache.HexOf(_body)}";
        _stage.Origin = context => context.Response.Body.WriteAsync(_body).AsTask();
        foreach (var path in (string[])["/plain/x", "/plain/x?who=me", "/plain/y", blob])
            (await _stage.GetAsync(_stage.Url(path))).Dispose();
        await _stage.Store.CommittedAsync();
        await _stage.RestartAsync();
        await _stage.Store.Loaded;
        foreach (var file in Directory.GetFiles(_stage.Options.Dir, "*.meta"))
            await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace($"\"version\":{EntryMetadata.CurrentVersion},", version, StringComparison.Ordinal));
        await _stage.RestartAsync();

        _stage.Asked.Clear();
        _stage.Origin = context => context.Request.Headers.Authorization == "good" ? context.Response.Body.WriteAsync(_body).AsTask() : CacheStage.Status(context, 403);
        foreach (var path in (string[])["/plain/x", "/plain/x?who=me"])
        {
            using var nobodys = await _stage.GetAsync(_stage.Url(path));
            Assert.Equal(403, (int)nobodys.StatusCode);
        }

        using (var anothers = await _stage.GetAsync(_stage.Url("/plain/y"), request => request.Headers.Add("Authorization", "bad")))
            Assert.Equal(403, (int)anothers.StatusCode);
        using (var same = await _stage.GetAsync(_stage.Url(blob)))
            Assert.Equal(_body, await same.Content.ReadAsByteArrayAsync());
        Assert.Equal(["GET /plain/x", "GET /plain/x?who=me", "GET /plain/y"], _stage.Asked);
        Assert.DoesNotContain(_stage.Store.Index.ToArray(), entry => _stage.Store.Describe(entry)!.Key.EndsWith("/plain/x", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_rule_for_digests_is_none_for_a_path_without_one()
    {
        _stage.Options = _stage.Options with { Rules = [new() { Mode = Revalidation.CacheMode.Digest, Pattern = new("^/digest/") }] };
        await _stage.RestartAsync();
        _stage.Origin = context => context.Response.Body.WriteAsync(_body).AsTask();
        for (var i = 1; i <= 2; i++)
        {
            using var response = await _stage.GetAsync(_stage.Url("/digest/x"));
            Assert.Equal(i, _stage.Asked.Count);
        }
    }

    [Theory]
    [InlineData(204)]
    [InlineData(301)]
    [InlineData(307)]
    [InlineData(401)]
    [InlineData(404)]
    [InlineData(429)]
    [InlineData(500)]
    public async Task Every_other_status_passes_and_is_not_stored(int status)
    {
        _stage.Origin = context => CacheStage.Status(context, status);
        for (var i = 1; i <= 2; i++)
        {
            using var response = await _stage.GetAsync(_stage.Blob(_body));
            Assert.Equal((status, "MISS", i), ((int)response.StatusCode, CacheStage.XCache(response), _stage.Asked.Count));
        }

        Assert.Empty(_stage.Files.Files());
    }

    [Fact]
    public async Task A_partial_answer_is_not_stored()
    {
        _stage.Serve(_body);
        using (var response = await _stage.GetAsync(_stage.Blob(_body), r => r.Headers.Range = new(10, 20)))
        {
            Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
            Assert.Equal(_body[10..21], await response.Content.ReadAsByteArrayAsync());
        }

        Assert.Empty(_stage.Files.Files());
    }

    [Fact]
    public async Task A_query_tells_answers_apart_where_no_digest_does()
    {
        _stage.Origin = context => context.Response.WriteAsync(context.Request.QueryString.Value!);
        Assert.Equal("?a=1", await _stage.Client.GetStringAsync(_stage.Url("/plain/x?a=1")));
        Assert.Equal("?a=2", await _stage.Client.GetStringAsync(_stage.Url("/plain/x?a=2")));
        Assert.Equal("?a=1", await _stage.Client.GetStringAsync(_stage.Url("/plain/x?a=1")));
        Assert.Equal(2, _stage.Asked.Count);
    }

    [Theory]
    [InlineData(1000, true)]
    [InlineData(600_000, true)]
    [InlineData(600_000, false)]
    public async Task A_body_that_is_not_what_its_address_names_is_passed_on_and_not_stored(int size, bool announced)
    {
        var wrong = TemporaryCache.Body(size);
        _stage.Origin = context =>
        {
            if (announced)
                context.Response.ContentLength = wrong.Length;
            return context.Response.Body.WriteAsync(wrong).AsTask();
        };
        for (var i = 0; i < 2; i++)
            await _stage.ExpectAsync("MISS", wrong, _stage.Blob(_body));
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 0);
        Assert.Equal(0, _stage.Stats.Entries);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_truncated_body_is_not_stored_and_breaks_off_for_the_client(bool announced)
    {
        _stage.Origin = async context =>
        {
            if (announced)
                context.Response.ContentLength = _body.Length;
            await context.Response.Body.WriteAsync(_body.AsMemory(0, 400_000));
            await context.Response.Body.FlushAsync();
            context.Abort();
        };
        using var response = await _stage.GetAsync(_stage.Url("/plain/x"));

        // Known to be broken before anything was passed on, it is an error that says so.
        if (response.StatusCode != HttpStatusCode.BadGateway)
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 0);
        Assert.Equal(0, _stage.Stats.Stores);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_larger_than_the_cache_is_streamed_and_evicts_nothing(bool announced)
    {
        _stage.Serve(_body);
        await _stage.ExpectAsync("MISS", _body);
        var large = TemporaryCache.Body(3 << 20);
        _stage.Origin = async context =>
        {
            if (announced)
                context.Response.ContentLength = large.Length;
            await context.Response.Body.WriteAsync(large);
        };
        await _stage.ExpectAsync("MISS", large);
        await _stage.ExpectAsync("MISS", large);
        await _stage.ExpectAsync("HIT", _body);
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 2);
        Assert.Equal((1, 0), (_stage.Stats.Entries, _stage.Stats.Evictions));
    }
}
