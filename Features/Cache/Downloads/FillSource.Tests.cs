using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Downloads;

/// <summary>Upstreams that break off in the middle.</summary>
public sealed class FillSourceTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(800_000);
    private CacheStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CacheStage.StartAsync(o => o with
    {
        Patterns = [.. o.Patterns, new("^/plain/", System.Text.RegularExpressions.RegexOptions.NonBacktracking)],
    });

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_rest_of_a_blob_is_asked_for_and_the_client_notices_nothing(bool supportsRanges)
    {
        _stage.Serve(_body);
        BreakFirst(at: 500_000, supportsRanges);
        await _stage.ExpectAsync("MISS", _body);
        await _stage.ExpectAsync("HIT", _body);
        Assert.Equal(2, _stage.Asked.Count);
    }

    [Theory]
    [InlineData("\"v1\"", "\"v1\"", true)]
    [InlineData("\"v1\"", "\"v2\"", false)]
    [InlineData("W/\"v1\"", "W/\"v1\"", false)]
    [InlineData("", "", false)]
    public async Task Without_a_digest_a_strong_etag_has_to_vouch_for_the_rest(string before, string after, bool resumed)
    {
        _stage.Origin = context =>
        {
            var tag = _stage.Asked.Count > 1 ? after : before;
            return Results.Bytes(_body, "a/b", entityTag: tag == "" ? null : Microsoft.Net.Http.Headers.EntityTagHeaderValue.Parse(tag),
                enableRangeProcessing: true).ExecuteAsync(context);
        };
        BreakFirst(at: 500_000, supportsRanges: true);
        using var response = await _stage.GetAsync(_stage.Url("/plain/x"));
        if (resumed)
            Assert.Equal(_body, await response.Content.ReadAsByteArrayAsync());
        else
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == (resumed ? 2 : 0));
    }

    /// <summary>A server that ignores If-Range, or packs the part: what it sends is no rest of the same.</summary>
    [Theory]
    [InlineData("\"v1\"", "", true)]
    [InlineData("\"v2\"", "", false)]
    [InlineData("W/\"v1\"", "", false)]
    [InlineData("", "", false)]
    [InlineData("\"v1\"", "gzip", false)]
    public async Task A_part_of_another_version_is_not_joined(string tag, string coding, bool resumed)
    {
        var body = _body[..200];
        _stage.Origin = async context =>
        {
            var isFirst = _stage.Asked.Count == 1;
            context.Response.Headers.ETag = isFirst ? "\"v1\"" : tag;
            context.Response.Headers.ContentEncoding = isFirst ? default : coding;
            context.Response.ContentLength = isFirst ? 200 : 100;
            if (!isFirst)
                (context.Response.StatusCode, context.Response.Headers.ContentRange) = (206, "bytes 100-199/200");
            await context.Response.Body.WriteAsync(body.AsMemory(isFirst ? 0 : 100, 100));
            await context.Response.Body.FlushAsync();
            // By time: what was sent has to arrive before the connection is reset.
            await Task.Delay(100);
            if (isFirst)
                context.Abort();
        };
        using var response = await _stage.GetAsync(_stage.Url("/plain/x"));
        if (resumed)
            Assert.Equal(body, await response.Content.ReadAsByteArrayAsync());
        else
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == (resumed ? 2 : 0));
    }

    [Theory]
    [InlineData("multipart/byteranges; boundary=x", 100, false)]
    [InlineData("text/plain", 90, false)]
    [InlineData("text/plain", 100, true)]
    public async Task A_part_that_contradicts_itself_is_not_joined(string type, int length, bool resumed)
    {
        var body = _body[..200];
        var hasBegun = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            var isFirst = _stage.Asked.Count == 1;
            context.Response.Headers.ETag = "\"v1\"";
            context.Response.ContentType = isFirst ? "text/plain" : type;
            context.Response.ContentLength = isFirst ? 200 : length;
            if (!isFirst)
                (context.Response.StatusCode, context.Response.Headers.ContentRange) = (206, "bytes 100-199/200");
            await context.Response.Body.WriteAsync(body.AsMemory(isFirst ? 0 : 100, isFirst ? 100 : length));
            await context.Response.Body.FlushAsync();
            if (!isFirst)
                return;
            await hasBegun.Task;
            context.Abort();
        };
        using var response = await _stage.GetAsync(_stage.Url("/plain/x"));
        await using var reading = await response.Content.ReadAsStreamAsync();
        var read = new byte[200];
        await reading.ReadExactlyAsync(read.AsMemory(0, 100));
        hasBegun.SetResult();
        if (resumed)
            await reading.ReadExactlyAsync(read.AsMemory(100));
        else
            await Assert.ThrowsAnyAsync<Exception>(async () => await reading.ReadExactlyAsync(read.AsMemory(100)));
        Assert.Equal(resumed, body.SequenceEqual(read));
    }

    /// <summary>The first answer did not say how long it is; the second says that it is not the end.</summary>
    [Theory]
    [InlineData("bytes 100-149/200", true)]
    [InlineData("bytes 100-149/*", false)]
    public async Task A_part_of_the_rest_is_not_taken_for_all_of_it(string range, bool resumed)
    {
        var body = _body[..200];
        _stage.Origin = async context =>
        {
            context.Response.Headers.ETag = "\"t\"";
            switch (_stage.Asked.Count)
            {
                case 1:
                    await context.Response.Body.WriteAsync(body.AsMemory(0, 100));
                    await context.Response.Body.FlushAsync();
                    // By time: what was sent has to arrive before the connection is reset.
                    await Task.Delay(100);
                    context.Abort();
                    break;
                case 2:
                    context.Response.StatusCode = 206;
                    context.Response.Headers.ContentRange = range;
                    await context.Response.Body.WriteAsync(body.AsMemory(100, 50));
                    break;
                default:
                    context.Response.StatusCode = 206;
                    context.Response.Headers.ContentRange = "bytes 150-199/200";
                    await context.Response.Body.WriteAsync(body.AsMemory(150));
                    break;
            }
        };
        using var response = await _stage.GetAsync(_stage.Url("/plain/x"));
        if (resumed)
            Assert.Equal(body, await response.Content.ReadAsByteArrayAsync());
        else
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_signed_address_that_has_expired_meanwhile_ends_the_download_as_broken()
    {
        _stage.Serve(_body);
        var serve = _stage.Origin;
        _stage.Origin = context => _stage.Asked.Count > 1 ? CacheStage.Status(context, 403) : serve(context);
        BreakFirst(at: 500_000, supportsRanges: true);
        using var response = await _stage.GetAsync(_stage.Blob(_body));
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 0);
        Assert.Equal(2, _stage.Asked.Count);
    }

    [Fact]
    public async Task The_rest_is_asked_for_with_the_credentials_of_that_moment()
    {
        var seen = new List<string?>();
        _stage.Serve(_body);
        _stage.Credential = "first";
        BreakFirst(at: 500_000, supportsRanges: true);
        var serve = _stage.Origin;
        _stage.Origin = context =>
        {
            seen.Add(context.Request.Headers["X-Credential"]);
            _stage.Credential = "second";
            return serve(context);
        };
        await _stage.ExpectAsync("MISS", _body);
        Assert.Equal(["first", "second"], seen);
    }

    [Fact]
    public async Task A_body_put_together_from_two_that_differ_never_looks_complete()
    {
        var other = TemporaryCache.Body(_body.Length);
        _stage.Origin = Serving(() => _stage.Asked.Count > 1 ? other : _body);
        BreakFirst(at: 500_000, supportsRanges: true);
        using var response = await _stage.GetAsync(_stage.Blob(_body));
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 0);
        Assert.Equal(1, _stage.Stats.Errors);
    }

    private static RequestDelegate Serving(Func<byte[]> body) =>
        context => Results.Bytes(body(), "a/b", enableRangeProcessing: true).ExecuteAsync(context);

    private void BreakFirst(int at, bool supportsRanges)
    {
        var serve = _stage.Origin;
        _stage.Origin = async context =>
        {
            if (!supportsRanges)
                context.Request.Headers.Remove("Range");
            if (_stage.Asked.Count > 1)
            {
                await serve(context);
                return;
            }

            var whole = context.Response.Body;
            context.Response.Body = new BreakingStream(whole, at, context);
            await serve(context);
        };
    }

    private sealed class BreakingStream(Stream inner, int at, HttpContext context) : MemoryStream
    {
        private int _written;

        public override async Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            await WriteAsync(buffer.AsMemory(offset, count), cancellationToken);

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var part = buffer[..Math.Min(buffer.Length, at - _written)];
            await inner.WriteAsync(part, cancellationToken);
            await inner.FlushAsync(cancellationToken);
            _written += part.Length;
            if (_written == at)
            {
                // By time: what was sent has to arrive before the connection is reset.
                await Task.Delay(30, cancellationToken);
                context.Abort();
            }
        }
    }
}
