using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Remote;

/// <summary>What waits to be uploaded, over restarts and faults.</summary>
public sealed class UploadsTests : IAsyncLifetime
{
    private readonly TestS3 _s3 = new();
    private FaultProxy _store = null!;
    private CacheStage? _stage;

    public async Task InitializeAsync() => _store = await FaultProxy.StartAsync(_s3.AnswerAsync);

    public async Task DisposeAsync()
    {
        if (_stage is not null)
            await _stage.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Fact]
    public async Task What_waited_when_the_process_ended_is_uploaded_by_the_next_also_what_is_evicted()
    {
        var bodies = new[] { TemporaryCache.Body(1000), TemporaryCache.Body(300_000) };
        var stage = await StartAsync(bodies);
        (_store.Fault, _store.Methods) = (Fault.ServerError, "PUT");
        foreach (var body in bodies)
            await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Waiting: 2, WaitingBytes: 301_000, UploadFailures: > 0 }));
        await stage.Cache.ClearAsync(CancellationToken.None);
        // As a kill leaves them: names in a directory, whatever the process knew.
        Assert.Equal(bodies.Select(TemporaryCache.HexOf).Order(), Directory.GetFiles(Path.Join(stage.Files.Dir, "upload")).Select(Path.GetFileName).Order());

        // Only now, so that the next process uploads them and not this one's last try.
        await stage.RestartAsync();
        _store.Fault = Fault.None;
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Uploads: 2, Waiting: 0, WaitingBytes: 0 }));
        Assert.All(bodies, body => Assert.Equal(body, _s3[body]));
        Assert.Empty(Directory.GetFiles(Path.Join(stage.Files.Dir, "upload")));
    }

    [Fact]
    public async Task What_failed_is_tried_until_it_is_there()
    {
        var body = TemporaryCache.Body(1000);
        var stage = await StartAsync(body);
        (_store.Fault, _store.Methods, stage.Time.IsHurried) = (Fault.SlowDown, "PUT", true);
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote.UploadFailures > 1));
        _store.Fault = Fault.None;
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Uploads: 1, Waiting: 0 }));
    }

    [Fact]
    public async Task What_is_more_than_may_wait_is_dropped_and_counted()
    {
        var bodies = Enumerable.Range(0, 3).Select(_ => TemporaryCache.Body(1000)).ToArray();
        var stage = await StartAsync(bodies, spool: 2500);
        (_store.Fault, _store.Methods) = (Fault.ServerError, "PUT");
        foreach (var body in bodies)
        {
            await stage.ExpectAsync("MISS", body);
            await stage.Store.CommittedAsync();
        }

        Assert.Equal((1, 2, 2000L), (stage.Remote.Dropped, stage.Remote.Waiting, stage.Remote.WaitingBytes));
    }

    [Fact]
    public async Task What_another_has_uploaded_meanwhile_needs_no_upload()
    {
        var body = TemporaryCache.Body(1000);
        var stage = await StartAsync(body);
        (_store.Fault, _store.Methods) = (Fault.Absent, "GET");
        _s3.Put(body);
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { ThereAlready: 1, Waiting: 0 }));
        Assert.Equal(["HEAD"], _s3.Asked.Select(asked => asked.Split(' ')[0]));
    }

    /// <summary>Ten containers over one directory would send each body ten times.</summary>
    [Fact]
    public async Task What_another_container_of_the_machine_has_downloaded_is_left_to_its_upload_at_first()
    {
        var shared = Directory.CreateTempSubdirectory("discobot-shared-");
        var (its, own) = (TemporaryCache.Body(1000), TemporaryCache.Body(2000));
        await using (var other = await CacheStage.StartAsync(options => options with { Shared = shared.FullName }))
        {
            other.Serve(its, own);
            await other.ExpectAsync("MISS", its);
            await CacheStage.EventuallyAsync(() => File.Exists(Path.Join(shared.FullName, "sha256", TemporaryCache.HexOf(its)[..2], TemporaryCache.HexOf(its))));
            var stage = await StartAsync([its, own], new RemoteOptions().Spool, shared.FullName);
            await stage.ExpectAsync("HIT", its);
            await stage.ExpectAsync("MISS", own);
            await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Uploads: 1, Waiting: 1, WaitingBytes: 1000 }));
            Assert.DoesNotContain(_s3.Asked, asked => asked.Contains(TemporaryCache.HexOf(its), StringComparison.Ordinal));
        }

        shared.Delete(recursive: true);
    }

    [Fact]
    public async Task What_another_container_of_the_machine_has_not_uploaded_this_one_does()
    {
        var shared = Directory.CreateTempSubdirectory("discobot-shared-");
        var its = TemporaryCache.Body(1000);
        var stage = await StartAsync([its], new RemoteOptions().Spool, shared.FullName);
        stage.Time.IsHurried = true;
        var folder = shared.CreateSubdirectory($"sha256/{TemporaryCache.HexOf(its)[..2]}");
        await File.WriteAllBytesAsync(Path.Join(folder.FullName, TemporaryCache.HexOf(its)), its);
        await stage.ExpectAsync("HIT", its);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Uploads: 1, Waiting: 0 }));
        Assert.Equal(its, _s3[its]);
        shared.Delete(recursive: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_there_in_another_length_is_replaced(bool http)
    {
        var body = TemporaryCache.Body(1000);
        var server = new HttpStoreServer();
        server.Put(body, TemporaryCache.Body(999));
        await using var kept = await FaultProxy.StartAsync(server.AnswerAsync);
        var stage = http ? await StartAsync([body], new RemoteOptions { Http = new Uri($"{kept.Address}/cas"), Authorization = HttpStoreServer.Authorization }) : await StartAsync(body);
        (_store.Fault, _store.Methods, kept.Fault, kept.Methods) = (Fault.Absent, "GET", Fault.Absent, "GET");
        _s3.Put(body, stored: TemporaryCache.Body(999));
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Uploads: 1, Waiting: 0 }));
        Assert.Equal(body, http ? server[body] : _s3[body]);
    }

    /// <summary>It is not sent again and again: what a store has no room for, or no way to take. What it may take another time is tried.</summary>
    [Theory]
    [InlineData(413, "EntityTooLarge", true)]
    [InlineData(400, "EntityTooLarge", true)]
    [InlineData(411, "", true)]
    [InlineData(414, "", true)]
    [InlineData(501, "NotImplemented", true)]
    [InlineData(400, "ExpiredToken", false)]
    [InlineData(400, "RequestTimeout", false)]
    [InlineData(507, "", false)]
    public async Task What_the_store_refuses_for_good_is_dropped_and_counted(int status, string code, bool forGood)
    {
        var body = TemporaryCache.Body(1000);
        var stage = await StartAsync(body);
        (_store.Fault, _store.Methods, _store.Refusal, stage.Time.IsHurried) = (Fault.Refused, "PUT", (status, code), true);
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(forGood ? stage.Remote is { Dropped: 1, Waiting: 0, UploadFailures: 0 } : stage.Remote is { Dropped: 0, Waiting: 1, UploadFailures: > 1 }));
        Assert.Equal(!forGood, File.Exists(Path.Join(stage.Files.Dir, "upload", TemporaryCache.HexOf(body))));
    }

    [Fact]
    public async Task What_has_failed_for_a_week_is_dropped()
    {
        var body = TemporaryCache.Body(1000);
        var stage = await StartAsync(body);
        (_store.Fault, _store.Methods, stage.Time.IsHurried) = (Fault.ServerError, "PUT", true);
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote.UploadFailures > 1));
        stage.Time.Ahead = TimeSpan.FromDays(8);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Dropped: 1, Waiting: 0 }));
    }

    [Fact]
    public async Task What_waits_for_a_store_that_is_no_more_is_removed_at_the_next_start()
    {
        var body = TemporaryCache.Body(1000);
        var stage = await StartAsync(body);
        (_store.Fault, _store.Methods) = (Fault.ServerError, "HEAD PUT");
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote.UploadFailures > 0));
        var upload = Path.Join(stage.Files.Dir, "upload");
        await File.WriteAllTextAsync(Path.Join(upload, "of somebody else"), "");
        stage.Options = stage.Options with { Remote = new RemoteOptions() };
        await stage.RestartAsync();
        await Eventually.TrueAsync(() => Task.FromResult(!File.Exists(Path.Join(upload, TemporaryCache.HexOf(body)))));
        Assert.Equal([Path.Join(upload, "of somebody else")], Directory.GetFiles(upload));
        await stage.ExpectAsync("HIT", body);
    }

    [Fact]
    public async Task What_the_disk_has_altered_is_not_uploaded()
    {
        var body = TemporaryCache.Body(1000);
        var stage = await StartAsync(body);
        (_store.Fault, _store.Methods) = (Fault.ServerError, "HEAD PUT");
        await stage.ExpectAsync("MISS", body);
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote.UploadFailures > 0));
        await using (var file = File.OpenWrite(Path.Join(stage.Files.Dir, "upload", TemporaryCache.HexOf(body))))
            file.WriteByte((byte)(body[0] ^ 1));
        await stage.RestartAsync();
        _store.Fault = Fault.None;
        await Eventually.TrueAsync(() => Task.FromResult(stage.Remote is { Dropped: 1, Waiting: 0 }));
        Assert.Null(_s3[body]);
    }

    private Task<CacheStage> StartAsync(params byte[][] bodies) => StartAsync(bodies, new RemoteOptions().Spool);

    private Task<CacheStage> StartAsync(byte[][] bodies, long spool, string? shared = null) => StartAsync(bodies, TestS3.Options(_store.Address) with { Spool = spool }, shared);

    private async Task<CacheStage> StartAsync(byte[][] bodies, RemoteOptions remote, string? shared = null)
    {
        _stage = await CacheStage.StartAsync(options => options with { Shared = shared, Remote = remote }, stage =>
        {
            foreach (var (name, value) in TestS3.Variables)
                stage.RemoteVariables[name] = value;
        });
        _stage.Serve(bodies);
        return _stage;
    }
}
