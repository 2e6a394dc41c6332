using System.Net;
using System.Security.Cryptography.X509Certificates;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Remote;

/// <summary>Against a real server: Debian's Swift with s3api, behind what networks and services do.</summary>
public sealed class SwiftStoreTests(SwiftStoreTests.Server server) : IClassFixture<SwiftStoreTests.Server>, IAsyncLifetime
{
    private readonly RemoteClient _client = RemoteClient.Create(Task.FromResult(new X509Certificate2Collection()));
    private FaultProxy _proxy = null!;
    private CacheStage? _stage;

    public async Task InitializeAsync()
    {
        _proxy = await FaultProxy.StartAsync(server.Swift.Address);
        using var bucket = await Raw().SendAsync(() => new HttpRequestMessage(HttpMethod.Put, $"{_proxy.Address}/bucket") { Content = new ByteArrayContent([]) }, AwsSignature.EmptyPayload, CancellationToken.None);
        Assert.Contains(bucket.StatusCode, (HttpStatusCode[])[HttpStatusCode.OK, HttpStatusCode.Conflict]);
    }

    public async Task DisposeAsync()
    {
        if (_stage is not null)
            await _stage.DisposeAsync();
        await _proxy.DisposeAsync();
        _client.Dispose();
    }

    [Fact]
    public async Task What_one_container_has_downloaded_another_has_from_there()
    {
        var (large, small) = (TemporaryCache.Body(3_000_000), TemporaryCache.Body(1000));
        await using (var first = await StartAsync(large, small))
        {
            await first.ExpectAsync("MISS", large);
            await first.ExpectAsync("MISS", small);
            await Eventually.TrueAsync(() => Task.FromResult(first.Remote is { Uploads: 2, Waiting: 0 }));
            _stage = null;
        }

        var second = await StartAsync(large, small);
        await second.ExpectAsync("HIT", large);
        await second.ExpectAsync("HIT", small);
        Assert.Equal(["HEAD", "HEAD"], second.Asked.Select(a => a.Split(' ')[0]));
    }

    [Fact]
    public async Task What_comes_in_parts_is_whole_and_what_is_used_is_copied_onto_itself()
    {
        var body = TemporaryCache.Body((int)S3Store.LargestSingle + 1);
        var digest = Hash256.TryParse(TemporaryCache.HexOf(body), out var read) ? read : default;
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(path, body);
            using var file = File.OpenHandle(path);
            var store = Raw();
            Assert.False(await store.ExistsAsync(digest, body.Length, CancellationToken.None));
            await store.PutAsync(digest, file, body.Length, CancellationToken.None);
            Assert.True(await store.ExistsAsync(digest, body.Length, CancellationToken.None));
            Assert.True(await store.RefreshAsync(digest, body.Length, CancellationToken.None));
            using var found = await store.GetAsync(digest, CancellationToken.None);
            using var memory = new MemoryStream();
            await (await found!.OpenAsync(CancellationToken.None)).CopyToAsync(memory);
            Assert.True(body.AsSpan().SequenceEqual(memory.ToArray()));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Who_may_not_read_is_told_apart_from_what_is_not_there()
    {
        var digest = Hash256.Of("nobody has this");
        Assert.Null(await Raw().GetAsync(digest, CancellationToken.None));
        Assert.Equal(RemoteFailure.Denied, (await Assert.ThrowsAsync<RemoteException>(() => Raw(SwiftServer.Id, "another").GetAsync(digest, CancellationToken.None))).Failure);
        Assert.Equal(RemoteFailure.Denied, (await Assert.ThrowsAsync<RemoteException>(() => Raw(SwiftServer.OtherId, SwiftServer.OtherSecret).GetAsync(digest, CancellationToken.None))).Failure);
    }

    [Theory]
    [InlineData(nameof(Fault.SlowDown))]
    [InlineData(nameof(Fault.Denied))]
    [InlineData(nameof(Fault.ServerError))]
    [InlineData(nameof(Fault.Truncated))]
    [InlineData(nameof(Fault.ResetInTheMiddle))]
    public async Task Whatever_is_done_to_its_answers_the_client_has_the_body(string fault)
    {
        var body = TemporaryCache.Body(1_000_000);
        await using (var first = await StartAsync(body))
        {
            await first.ExpectAsync("MISS", body);
            await Eventually.TrueAsync(() => Task.FromResult(first.Remote is { Uploads: 1, Waiting: 0 }));
            _stage = null;
        }

        var second = await StartAsync(body);
        _proxy.Fault = Enum.Parse<Fault>(fault);
        Assert.Equal(body, (await second.FetchAsync(second.Blob(body))).Body);
    }

    private S3Store Raw(string id = SwiftServer.Id, string secret = SwiftServer.Secret)
    {
        var variables = new Dictionary<string, string> { ["AWS_ACCESS_KEY_ID"] = id, ["AWS_SECRET_ACCESS_KEY"] = secret };
        return new S3Store(TestS3.Options(_proxy.Address).S3!, _client, new AwsCredentialChain(variables, _client, "eu-test-1", TimeProvider.System), TimeProvider.System);
    }

    private async Task<CacheStage> StartAsync(params byte[][] bodies)
    {
        _stage = await CacheStage.StartAsync(options => options with { Remote = TestS3.Options(_proxy.Address) }, stage =>
            (stage.RemoteVariables["AWS_ACCESS_KEY_ID"], stage.RemoteVariables["AWS_SECRET_ACCESS_KEY"]) = (SwiftServer.Id, SwiftServer.Secret));
        _stage.Serve(bodies);
        return _stage;
    }

    /// <summary>One for the class: it takes seconds to start.</summary>
    public sealed class Server : IAsyncLifetime
    {
        internal SwiftServer Swift { get; private set; } = null!;

        public async Task InitializeAsync() => Swift = await SwiftServer.StartAsync();

        public async Task DisposeAsync() => await Swift.DisposeAsync();
    }
}
