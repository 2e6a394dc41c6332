using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Registries;

/// <summary>A digest that is here, asked for under an address that has no record yet.</summary>
public sealed class OriginProofTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(300_000);
    private CacheStage _stage = null!;
    private RequestDelegate _serve = null!;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Serve(_body);
        _serve = _stage.Origin;
        await _stage.ExpectAsync("MISS", _body);
        await _stage.Store.CommittedAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    private string Path => $"/v2/b/blobs/sha256:{TemporaryCache.HexOf(_body)}";

    private Uri OtherRepository => _stage.Url(Path);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_origins_own_word_makes_a_record_with_its_own_fields_and_the_body_comes_from_here(bool otherHost)
    {
        var url = otherHost ? _stage.Elsewhere(_stage.Blob(_body).PathAndQuery) : OtherRepository;
        _stage.Origin = context =>
        {
            context.Response.ContentLength = _body.Length;
            context.Response.ContentType = "text/own";
            return Task.CompletedTask;
        };
        for (var i = 0; i < 2; i++)
        {
            using var response = await _stage.GetAsync(url);
            Assert.Equal(("HIT", "text/own"), (CacheStage.XCache(response), response.Content.Headers.ContentType!.ToString()));
            Assert.Null(response.Headers.ETag);
            Assert.Equal(_body, await response.Content.ReadAsByteArrayAsync());
            await _stage.Store.CommittedAsync();
        }

        Assert.Equal(["GET", "HEAD"], _stage.Asked.Select(a => a.Split(' ')[0]));
        Assert.Equal((2, 300_000L), (_stage.Stats.Entries, _stage.Stats.CurrentSize));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(500)]
    public async Task What_the_origin_refuses_is_refused(int status)
    {
        _stage.Origin = context =>
        {
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"x\"";
            return CacheStage.Status(context, status);
        };
        using var response = await _stage.GetAsync(OtherRepository);
        Assert.Equal((HttpStatusCode)status, response.StatusCode);
        Assert.True(response.Headers.Contains("WWW-Authenticate"));
        using var request = new HttpRequestMessage(HttpMethod.Head, OtherRepository);
        using var head = await _stage.Client.SendAsync(request);
        Assert.Equal((HttpStatusCode)status, head.StatusCode);
        Assert.Equal(1, _stage.Stats.Entries);
    }

    [Fact]
    public async Task The_origin_is_asked_with_the_clients_own_credentials()
    {
        _stage.Origin = context => context.Request.Headers.Authorization == "Bearer mine" ? _serve(context) : CacheStage.Status(context, 401);
        using var refused = await _stage.GetAsync(OtherRepository, r => r.Headers.Authorization = new("Bearer", "other"));
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        using var allowed = await _stage.GetAsync(OtherRepository, r => r.Headers.Authorization = new("Bearer", "mine"));
        Assert.Equal((HttpStatusCode.OK, "HIT"), (allowed.StatusCode, CacheStage.XCache(allowed)));
    }

    [Theory]
    [InlineData(400)]
    [InlineData(403)]
    [InlineData(405)]
    [InlineData(501)]
    public async Task Where_HEAD_is_not_for_asking_the_first_byte_is(int status)
    {
        _stage.Origin = context => HttpMethods.IsHead(context.Request.Method) ? CacheStage.Status(context, status) : _serve(context);
        await _stage.ExpectAsync("HIT", _body, OtherRepository);
        Assert.Equal(3, _stage.Asked.Count);
    }

    [Theory]
    [InlineData("Content-Length", "299999")]
    [InlineData("Docker-Content-Digest", "sha256:0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("Content-Encoding", "gzip")]
    public async Task A_word_for_another_body_is_none(string field, string value)
    {
        _stage.Origin = context =>
        {
            if (!HttpMethods.IsHead(context.Request.Method))
                return _serve(context);
            context.Response.ContentLength = _body.Length;
            context.Response.Headers[field] = value;
            return Task.CompletedTask;
        };
        await _stage.ExpectAsync("MISS", _body, OtherRepository);
    }

    [Fact]
    public async Task A_range_is_cut_from_a_proven_body_and_a_condition_is_judged_by_the_proof()
    {
        using var range = await _stage.GetAsync(OtherRepository, r => r.Headers.Range = new(10, 19));
        Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
        Assert.Equal(_body[10..20], await range.Content.ReadAsByteArrayAsync());
        await _stage.Cache.ClearAsync(CancellationToken.None);
        await _stage.ExpectAsync("MISS", _body);
        using var known = await _stage.GetAsync(OtherRepository, r => r.Headers.IfNoneMatch.Add(new($"\"{TemporaryCache.HexOf(_body)}\"")));
        Assert.Equal(HttpStatusCode.NotModified, known.StatusCode);
    }

    [Theory]
    [InlineData("https://cdn.test/sha256:HEX?x=1", true)]
    [InlineData("/signed?X-Amz-Signature=1&X-Amz-Credential=c&X-Amz-Date=d", true)]
    [InlineData("/signed?Expires=1&Signature=2&Key-Pair-Id=3", true)]
    [InlineData("/signed?se=1&sp=r&sv=2&sr=b&sig=3", true)]
    [InlineData("/sso?SAMLRequest=a&RelayState=b&SigAlg=c&Signature=d", false)]
    [InlineData("/login?sig=1", false)]
    [InlineData("/login?next=/", false)]
    public async Task A_redirect_to_the_body_is_a_word_for_it_and_one_to_a_login_page_is_not(string location, bool proves)
    {
        location = location.Replace("HEX", TemporaryCache.HexOf(_body), StringComparison.Ordinal).Replace("/sha256:", "/blobs/sha256:", StringComparison.Ordinal);
        _stage.Origin = context =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = location;
            context.Response.ContentType = "text/html";
            return Task.CompletedTask;
        };
        using var response = await _stage.GetAsync(OtherRepository);
        Assert.Equal(proves ? HttpStatusCode.OK : HttpStatusCode.TemporaryRedirect, response.StatusCode);
        if (proves)
        {
            Assert.Equal("application/octet-stream", response.Content.Headers.ContentType!.ToString());
            Assert.False(response.Headers.Contains("Location"));
            Assert.Equal(_body, await response.Content.ReadAsByteArrayAsync());
        }
    }

    [Fact]
    public async Task A_client_that_leaves_before_the_proof_leaves_no_body_open()
    {
        var asked = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            asked.TrySetResult();
            await Task.Delay(TimeSpan.FromSeconds(30), context.RequestAborted);
        };
        using (var leaves = new CancellationTokenSource())
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, OtherRepository);
            var waiting = _stage.Client.SendAsync(request, leaves.Token);
            await asked.Task.WaitAsync(TimeSpan.FromSeconds(20));
            await leaves.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        await _stage.Cache.ClearAsync(CancellationToken.None);
        await CacheStage.EventuallyAsync(() => !Directory.GetFiles("/proc/self/fd").Any(f => new FileInfo(f).LinkTarget is { } at && at.StartsWith(_stage.Files.Dir, StringComparison.Ordinal) && !at.EndsWith("/.lock", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Other_resources_of_the_object_are_not_the_blob()
    {
        var hex = TemporaryCache.HexOf(_body);
        var path = $"/registry-v2/docker/registry/v2/blobs/sha256/{hex[..2]}/{hex}/data";
        await _stage.ExpectAsync("HIT", _body, _stage.Url(path + "?se=1&sig=abc"));
        _stage.Origin = context => context.Response.WriteAsync(context.Request.QueryString.Value!);
        foreach (var query in new[] { "?tagging", "?acl", "?comp=metadata&sv=1", "?comp=blocklist&se=1&sig=2", "?uploadId=7", "?X-Amz-Signature=1&versionId=3" })
            Assert.Equal(query, await _stage.Client.GetStringAsync(_stage.Url(path + query)));
    }

    [Fact]
    public async Task No_signature_is_written_to_the_disk()
    {
        var body = TemporaryCache.Body(100);
        _stage.Serve(body);
        var hex = TemporaryCache.HexOf(body);
        await _stage.ExpectAsync("MISS", body, _stage.Url($"/registry-v2/docker/registry/v2/blobs/sha256/{hex[..2]}/{hex}/data?X-Amz-Signature=SECRETS&Expires=1"));
        await _stage.ExpectAsync("MISS", body, _stage.Url($"/v2/a/blobs/sha256:{hex}?ns=x&api_key=SECRETS&access_token=SECRETS"));
        await _stage.Store.CommittedAsync();
        _stage.Store.SaveSnapshot();
        Assert.NotEmpty(_stage.Files.Files());
        foreach (var file in _stage.Files.Files())
            Assert.DoesNotContain("SECRETS", await File.ReadAllTextAsync(System.IO.Path.Join(_stage.Files.Dir, file)), StringComparison.Ordinal);
    }
}
