using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Remote;

/// <summary>Against a bucket in memory that looks at each signature by itself.</summary>
public sealed class S3StoreTests : IAsyncLifetime, IDisposable
{
    private const int AboveSingle = (int)S3Store.LargestSingle + 1;
    private readonly TestS3 _s3 = new();
    private readonly string _file = Path.GetTempFileName();
    private readonly RemoteClient _client = RemoteClient.Create(Task.FromResult(new X509Certificate2Collection()));
    private readonly Dictionary<string, string> _variables = new(TestS3.Variables);
    private Func<HttpContext, bool> _refuses = _ => false;
    private FaultProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await FaultProxy.StartAsync(context => _refuses(context) ? TestS3.ErrorAsync(context, 503, "SlowDown") : _s3.AnswerAsync(context));

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    public void Dispose()
    {
        _client.Dispose();
        File.Delete(_file);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(300_000, 0)]
    [InlineData(AboveSingle, 5)]
    public async Task A_body_is_put_whole_in_parts_where_it_is_large_and_comes_back(int size, int parts)
    {
        var body = TemporaryCache.Body(size);
        await PutAsync(body);
        Assert.Equal(body, _s3[body]);
        Assert.Equal(parts, _s3.Asked.Count(asked => asked.Contains("partNumber", StringComparison.Ordinal)));
        var store = Store();
        Assert.True(await store.ExistsAsync(DigestOf(body), size, CancellationToken.None));
        using var found = await store.GetAsync(DigestOf(body), CancellationToken.None);
        Assert.Equal(size, found!.Length);
        using var memory = new MemoryStream();
        await (await found.OpenAsync(CancellationToken.None)).CopyToAsync(memory);
        Assert.True(body.AsSpan().SequenceEqual(memory.ToArray()));
        Assert.True(await store.RefreshAsync(DigestOf(body), size, CancellationToken.None));
    }

    [Fact]
    public async Task A_part_that_fails_is_sent_again_alone()
    {
        var refused = 0;
        _refuses = context => context.Request.Query["partNumber"] == "3" && Interlocked.Increment(ref refused) == 1;
        var body = TemporaryCache.Body(AboveSingle);
        await PutAsync(body);
        Assert.Equal(body, _s3[body]);
        Assert.Equal(5, _s3.Asked.Count(asked => asked.Contains("partNumber", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task An_upload_that_fails_leaves_neither_an_object_nor_parts()
    {
        _refuses = context => context.Request.Query["partNumber"] == "3";
        var body = TemporaryCache.Body(AboveSingle);
        Assert.Equal(RemoteFailure.Unavailable, (await Assert.ThrowsAsync<RemoteException>(() => PutAsync(body))).Failure);
        Assert.Null(_s3[body]);
        Assert.Equal(0, _s3.OpenUploads);
    }

    [Fact]
    public async Task A_store_refuses_a_body_that_is_not_what_its_name_says()
    {
        var (body, other) = (TemporaryCache.Body(1000), TemporaryCache.Body(1000));
        await File.WriteAllBytesAsync(_file, other);
        using var file = File.OpenHandle(_file);
        var error = await Assert.ThrowsAsync<RemoteException>(() => Store().PutAsync(DigestOf(body), file, 1000, CancellationToken.None));
        Assert.Equal("HTTP 400 XAmzContentSHA256Mismatch", error.Message);
        Assert.Empty(_s3.Objects);
    }

    [Theory]
    [InlineData(-3600)]
    [InlineData(3600)]
    public async Task A_clock_beside_the_stores_costs_one_request(int seconds)
    {
        _s3.Ahead = TimeSpan.FromSeconds(seconds);
        var store = Store();
        Assert.False(await store.ExistsAsync(Hash256.Of("a"), 1, CancellationToken.None));
        Assert.False(await store.ExistsAsync(Hash256.Of("a"), 1, CancellationToken.None));
        Assert.Equal(3, _s3.Asked.Count);
    }

    [Fact]
    public async Task What_is_not_there_and_what_may_not_be_had_are_two_things_and_neither_shows_a_credential()
    {
        Assert.Null(await Store().GetAsync(Hash256.Of("a"), CancellationToken.None));
        _variables["AWS_SECRET_ACCESS_KEY"] = "another secret";
        var error = await Assert.ThrowsAsync<RemoteException>(() => Store().GetAsync(Hash256.Of("a"), CancellationToken.None));
        Assert.Equal((RemoteFailure.Denied, "HTTP 403 SignatureDoesNotMatch"), (error.Failure, error.Message));
        Assert.DoesNotContain("another secret", error.ToString(), StringComparison.Ordinal);
    }

    private S3Store Store() => new(TestS3.Options(_proxy.Address).S3!, _client, new AwsCredentialChain(_variables, _client, "eu-test-1", TimeProvider.System), TimeProvider.System);

    private async Task PutAsync(byte[] body)
    {
        await File.WriteAllBytesAsync(_file, body);
        using var file = File.OpenHandle(_file);
        await Store().PutAsync(DigestOf(body), file, body.Length, CancellationToken.None);
    }

    private static Hash256 DigestOf(byte[] body) => Hash256.TryParse(TemporaryCache.HexOf(body), out var digest) ? digest : default;
}
