using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache;

public sealed class CacheHitsTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(300_000);
    private CacheStage _stage = null!;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Serve(_body);
        await _stage.ExpectAsync("MISS", _body);
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task The_second_request_is_a_hit_that_upstream_never_sees()
    {
        await _stage.ExpectAsync("HIT", _body);
        Assert.Single(_stage.Asked);
        var stats = _stage.Stats;
        Assert.Equal((1, 1, 1, 0.5, 300_000), (stats.Hits, stats.Misses, stats.Stores, stats.HitRate, stats.CurrentSize));
    }

    [Fact]
    public async Task A_hit_carries_the_stored_header_fields_its_length_and_the_time_it_was_stored()
    {
        using var response = await _stage.GetAsync(_stage.Blob(_body));
        Assert.Equal("application/octet-stream", response.Content.Headers.ContentType!.ToString());
        Assert.Equal($"\"{TemporaryCache.HexOf(_body)}\"", response.Headers.ETag!.Tag);
        Assert.Equal(300_000, response.Content.Headers.ContentLength);
        var stored = DateTimeOffset.ParseExact(
            response.Headers.GetValues("X-Cache-Date").Single(), "yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        Assert.InRange(DateTimeOffset.UtcNow - stored, TimeSpan.FromSeconds(-1), TimeSpan.FromMinutes(1));
        Assert.Equal($"sha256:{TemporaryCache.HexOf(_body)}", response.Headers.GetValues("Docker-Content-Digest").Single());
    }

    [Fact]
    public async Task Head_is_answered_from_the_entry()
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, _stage.Blob(_body));
        using var response = await _stage.Client.SendAsync(request);
        Assert.Equal((HttpStatusCode.OK, "HIT", 300_000L), (response.StatusCode, CacheStage.XCache(response), response.Content.Headers.ContentLength));
        Assert.Single(_stage.Asked);
    }

    [Theory]
    [InlineData("bytes=0-", 0, 300_000)]
    [InlineData("bytes=250000-", 250_000, 300_000)]
    [InlineData("bytes=10-19", 10, 20)]
    [InlineData("bytes=299999-400000", 299_999, 300_000)]
    [InlineData("bytes=-5", 299_995, 300_000)]
    [InlineData("bytes=-400000", 0, 300_000)]
    public async Task A_range_is_cut_from_the_entry(string range, int from, int end)
    {
        using var response = await _stage.GetAsync(_stage.Blob(_body), r => r.Headers.TryAddWithoutValidation("Range", range));
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal($"bytes {from}-{end - 1}/300000", response.Content.Headers.ContentRange!.ToString());
        Assert.Equal(_body[from..end], await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("bytes=300000-")]
    [InlineData("bytes=-0")]
    public async Task A_range_behind_the_end_is_416_with_the_length(string range)
    {
        using var response = await _stage.GetAsync(_stage.Blob(_body), r => r.Headers.TryAddWithoutValidation("Range", range));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, response.StatusCode);
        Assert.Equal("bytes */300000", response.Content.Headers.ContentRange!.ToString());
    }

    [Theory]
    [InlineData("bytes=0-1,5-6")]
    [InlineData("bytes=5-4")]
    [InlineData("bytes=x-")]
    [InlineData("bytes=-")]
    [InlineData("items=0-1")]
    public async Task Several_ranges_and_malformed_ones_get_the_whole_body(string range)
    {
        using var response = await _stage.GetAsync(_stage.Blob(_body), r => r.Headers.TryAddWithoutValidation("Range", range));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(_body, await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData(true, HttpStatusCode.PartialContent)]
    [InlineData(false, HttpStatusCode.OK)]
    public async Task If_Range_decides_whether_the_range_counts(bool same, HttpStatusCode expected)
    {
        using var response = await _stage.GetAsync(_stage.Blob(_body), r =>
        {
            r.Headers.Range = new RangeHeaderValue(5, null);
            r.Headers.IfRange = new($"\"{(same ? TemporaryCache.HexOf(_body) : "other")}\"");
        });
        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task A_validator_that_still_holds_is_answered_304()
    {
        using var response = await _stage.GetAsync(_stage.Blob(_body), r => r.Headers.TryAddWithoutValidation("If-None-Match", $"\"x\", W/\"{TemporaryCache.HexOf(_body)}\""));
        Assert.Equal((HttpStatusCode.NotModified, "HIT"), (response.StatusCode, CacheStage.XCache(response)));
    }

    [Theory]
    [InlineData(1, "bytes=0-", 0, 1)]
    [InlineData(1000, "bytes=0-", 0, 1000)]
    [InlineData(1000, "bytes=10-19", 10, 20)]
    [InlineData(1000, "bytes=-5", 995, 1000)]
    [InlineData(65_536, "bytes=1-", 1, 65_536)]
    [InlineData(65_536, "bytes=0-9223372036854775807", 0, 65_536)]
    [InlineData(65_537, "bytes=5-9223372036854775807", 5, 65_537)]
    [InlineData(300_000, "bytes=0-9223372036854775808", 0, 300_000)]
    [InlineData(300_000, "bytes=7-99999999999999999999999999", 7, 300_000)]
    [InlineData(300_000, "bytes=-9223372036854775807", 0, 300_000)]
    [InlineData(1000, "bytes=-99999999999999999999999999", 0, 1000)]
    public async Task A_range_of_any_body_is_cut_whatever_numbers_it_has(int size, string range, int from, int end)
    {
        var body = TemporaryCache.Body(size);
        _stage.Serve(body);
        await _stage.ExpectAsync("MISS", body);
        await _stage.Store.CommittedAsync();
        await _stage.ExpectAsync("HIT", body);
        using var response = await _stage.GetAsync(_stage.Blob(body), r => r.Headers.TryAddWithoutValidation("Range", range));
        Assert.Equal((HttpStatusCode.PartialContent, "HIT"), (response.StatusCode, CacheStage.XCache(response)));
        Assert.Equal($"bytes {from}-{end - 1}/{size}", response.Content.Headers.ContentRange!.ToString());
        Assert.Equal(body[from..end], await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("bytes=9223372036854775807-")]
    [InlineData("bytes=9223372036854775808-")]
    [InlineData("bytes=1000-99999999999999999999999999")]
    public async Task A_range_far_behind_the_end_is_416(string range)
    {
        var body = TemporaryCache.Body(1000);
        _stage.Serve(body);
        await _stage.ExpectAsync("MISS", body);
        using var response = await _stage.GetAsync(_stage.Blob(body), r => r.Headers.TryAddWithoutValidation("Range", range));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, response.StatusCode);
    }

    [Theory]
    [InlineData("bytes=0-")]
    [InlineData("bytes=-5")]
    public async Task Of_an_empty_body_there_is_no_range(string range)
    {
        byte[] empty = [];
        _stage.Serve(empty);
        await _stage.ExpectAsync("MISS", empty);
        using var response = await _stage.GetAsync(_stage.Blob(empty), r => r.Headers.TryAddWithoutValidation("Range", range));
        Assert.Equal((HttpStatusCode.OK, "HIT"), (response.StatusCode, CacheStage.XCache(response)));
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData(100)]
    [InlineData(250_000)]
    public async Task A_flipped_bit_is_never_served_as_a_complete_answer_and_the_entry_is_fetched_again(int at)
    {
        await _stage.Store.CommittedAsync();
        _stage.Files.Damage(TargetOf(_body), at);
        byte[]? served = null;
        try
        {
            served = (await _stage.FetchAsync(_stage.Blob(_body))).Body;
        }
        catch (HttpRequestException)
        {
            // Broken off: the client knows that it has nothing.
        }

        Assert.True(served is null || served.AsSpan().SequenceEqual(_body));
        Assert.Equal(_body, (await _stage.FetchAsync(_stage.Blob(_body))).Body);
        Assert.Equal(2, _stage.Asked.Count);
        Assert.Equal(1, _stage.Stats.Errors);
    }

    [Fact]
    public async Task Clearing_in_the_middle_of_a_download_does_not_break_it()
    {
        var large = TemporaryCache.Body(8 << 20);
        _stage.Serve(large);
        await _stage.FetchAsync(_stage.Blob(large));
        using var response = await _stage.GetAsync(_stage.Blob(large));
        await using var stream = await response.Content.ReadAsStreamAsync();
        var read = new byte[large.Length];
        await stream.ReadExactlyAsync(read.AsMemory(0, 1000));
        await _stage.Cache.ClearAsync(CancellationToken.None);
        await stream.ReadExactlyAsync(read.AsMemory(1000));
        Assert.Equal(large, read);
        Assert.Equal(0, _stage.Stats.CurrentSize);
        Assert.Equal("MISS", (await _stage.FetchAsync(_stage.Blob(large))).Cache);
    }

    private CacheTarget TargetOf(byte[] body) => _stage.Rules.Value.Classify(new Infrastructure.Wire.ProxiedRequest
    {
        Id = "1",
        Scheme = "http",
        Target = new("127.0.0.1", _stage.Url("/").Port),
        PathAndQuery = $"/v2/a/blobs/sha256:{TemporaryCache.HexOf(body)}",
    })!;

    [Fact]
    public async Task A_field_without_a_value_is_one_on_a_miss_as_on_a_hit()
    {
        var body = TemporaryCache.Body(100);
        _stage.Origin = async context =>
        {
            context.Response.Headers["X-Empty"] = "";
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body);
        };
        foreach (var from in (string[])["MISS", "HIT"])
        {
            using var response = await _stage.GetAsync(_stage.Blob(body));
            Assert.Equal(from, CacheStage.XCache(response));
            Assert.Equal([""], response.Headers.GetValues("X-Empty"));
            await response.Content.ReadAsByteArrayAsync();
        }
    }
}
