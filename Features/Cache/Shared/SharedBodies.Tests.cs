using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Cache.Shared;

/// <summary>What one container fetched, asked for by another, with whatever somebody else may have done to the shared directory.</summary>
public sealed class SharedBodiesTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(3_000_000);
    private SharedContainers _containers = null!;

    public async Task InitializeAsync()
    {
        _containers = await SharedContainers.StartAsync(2);
        _containers.First.Serve(_body);
    }

    public async Task DisposeAsync() => await _containers.DisposeAsync();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(1 << 20)]
    [InlineData((1 << 20) + 1)]
    [InlineData(3_000_000)]
    public async Task What_one_container_fetched_another_has_after_the_origins_word_and_keeps(int size)
    {
        var body = TemporaryCache.Body(size);
        _containers.First.Serve(body);
        await _containers.ExpectAsync(0, "MISS", body);
        await _containers.PlacedAsync(body);
        await _containers.ExpectAsync(1, "HIT", body);
        await _containers.All[1].Store.CommittedAsync();
        File.Delete(_containers.FileOf(body));
        await _containers.ExpectAsync(1, "HIT", body);
        Assert.Equal(["GET", "HEAD"], _containers.Asked(body));
        Assert.Equal((1, 1), (_containers.Stats(0).Placed, _containers.Stats(1).Read));
        Assert.Equal(["evict.lock"], _containers.Files());
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    public async Task What_the_origin_refuses_is_refused_though_it_is_shared(int status)
    {
        await _containers.ExpectAsync(0, "MISS", _body);
        await _containers.PlacedAsync(_body);
        _containers.First.Origin = context => CacheStage.Status(context, status);
        using var response = await _containers.All[1].GetAsync(_containers.First.Blob(_body));
        Assert.Equal((HttpStatusCode)status, response.StatusCode);
    }

    /// <summary>Of the right length, but other bytes; it is looked at before anything is sent, or its end is held back.</summary>
    [Theory]
    [InlineData(300_000, false)]
    [InlineData(3_000_000, true)]
    public async Task A_body_that_is_another_is_set_aside_and_never_complete(int size, bool breaksOff)
    {
        var body = TemporaryCache.Body(size);
        _containers.First.Serve(body);
        await _containers.ExpectAsync(0, "MISS", body);
        await _containers.PlacedAsync(body);
        using (var file = File.OpenHandle(_containers.FileOf(body), FileMode.Open, FileAccess.Write))
            RandomAccess.Write(file, [(byte)(body[size / 2] ^ 1)], size / 2);
        if (breaksOff)
        {
            using var broken = await _containers.All[1].GetAsync(_containers.First.Blob(body));
            // All of it may have been read before the head was sent.
            if (broken.IsSuccessStatusCode)
                await Assert.ThrowsAnyAsync<HttpRequestException>(() => broken.Content.ReadAsByteArrayAsync());
            else
                Assert.Equal(HttpStatusCode.BadGateway, broken.StatusCode);
        }

        await _containers.ExpectAsync(1, "MISS", body);
        await CacheStage.EventuallyAsync(() => Directory.GetFiles(Path.Join(_containers.Shared, "aside")).Length == 1);
        Assert.Equal((1, 1), (_containers.Stats(1).Wrong, Directory.GetFiles(Path.Join(_containers.Shared, "aside"), TemporaryCache.HexOf(body) + "-*").Length));
        // The next to have it gets the right one again.
        await _containers.PlacedAsync(body);
        Assert.Equal(body, await File.ReadAllBytesAsync(_containers.FileOf(body)));
    }

    [Fact]
    public async Task After_a_few_that_were_others_nothing_is_believed_for_a_while()
    {
        byte[][] bodies = [.. Enumerable.Range(0, 5).Select(_ => TemporaryCache.Body(1000))];
        _containers.First.Serve(bodies);
        foreach (var body in bodies)
        {
            await _containers.ExpectAsync(0, "MISS", body);
            await _containers.PlacedAsync(body);
            // In one step: a copy that comes late leaves a file of this length as it is.
            var other = Path.Join(_containers.Shared, "other");
            await File.WriteAllBytesAsync(other, TemporaryCache.Body(1000));
            File.Move(other, _containers.FileOf(body), overwrite: true);
        }

        foreach (var body in bodies)
            await _containers.ExpectAsync(1, "MISS", body);
        Assert.Equal(3, _containers.Stats(1).Wrong);
    }

    [Theory]
    [InlineData("short")]
    [InlineData("long")]
    [InlineData("huge")]
    [InlineData("symlink")]
    [InlineData("fifo")]
    [InlineData("directory")]
    [InlineData("folder is a link")]
    [InlineData("folder is a file")]
    public async Task What_somebody_planted_in_a_bodys_place_is_not_sent_and_leads_nowhere(string planted)
    {
        var (file, elsewhere) = (_containers.FileOf(_body), Directory.CreateTempSubdirectory("discobot-elsewhere-").FullName);
        var folder = Path.GetDirectoryName(file)!;
        Directory.CreateDirectory(planted.StartsWith("folder", StringComparison.Ordinal) ? Path.GetDirectoryName(folder)! : folder);
        switch (planted)
        {
            case "short":
                await File.WriteAllBytesAsync(file, _body[..^1]);
                break;
            case "long":
                await File.WriteAllBytesAsync(file, [.. _body, 0]);
                break;
            case "huge":
                using (var sparse = File.OpenHandle(file, FileMode.CreateNew, FileAccess.Write))
                    RandomAccess.SetLength(sparse, 1L << 40);
                break;
            case "symlink":
                await File.WriteAllBytesAsync(Path.Join(elsewhere, "body"), _body);
                File.CreateSymbolicLink(file, Path.Join(elsewhere, "body"));
                break;
            case "fifo":
                using (var process = Process.Start("mkfifo", [file]))
                    await process.WaitForExitAsync();
                break;
            case "directory":
                Directory.CreateDirectory(Path.Join(file, "not-empty"));
                break;
            case "folder is a link":
                Directory.CreateSymbolicLink(folder, elsewhere);
                break;
            default:
                await File.WriteAllTextAsync(folder, "");
                break;
        }

        await _containers.ExpectAsync(0, "MISS", _body);
        await _containers.All[0].Store.CommittedAsync();
        if (planted.StartsWith("folder", StringComparison.Ordinal))
        {
            await CacheStage.EventuallyAsync(() => Directory.GetFiles(Path.Join(_containers.Shared, "incoming")).Length + Directory.GetFiles(Path.Join(_containers.Shared, "leases")).Length == 0);
            Assert.Empty(Directory.GetFileSystemEntries(elsewhere));
        }
        else
        {
            // It is in its place at last.
            await CacheStage.EventuallyAsync(() => new FileInfo(file) is { Exists: true, LinkTarget: null } now && now.Length == _body.Length);
            await _containers.ExpectAsync(1, "HIT", _body);
        }

        Directory.Delete(elsewhere, recursive: true);
    }

    [Fact]
    public async Task A_directory_that_vanishes_is_gone_on_without_and_used_again_when_it_is_back()
    {
        await _containers.ExpectAsync(0, "MISS", _body);
        await _containers.PlacedAsync(_body);
        var away = _containers.Shared + "-away";
        Directory.Move(_containers.Shared, away);
        var other = TemporaryCache.Body(2_000_000);
        _containers.First.Serve(_body, other);
        await _containers.ExpectAsync(1, "MISS", other);
        Assert.Contains(_containers.Shared, _containers.Stats(1).Problem, StringComparison.Ordinal);
        Directory.Move(away, _containers.Shared);
        await CacheStage.EventuallyAsync(() => _containers.Stats(1).Problem is null);
        await _containers.ExpectAsync(1, "HIT", _body);
    }

    /// <summary>Those that were not to be copied leave no room for others beyond that.</summary>
    [Fact]
    public async Task However_many_are_offered_while_nothing_can_be_written_the_same_number_waits_afterwards()
    {
        var (directory, counters) = (Directory.CreateDirectory($"/dev/shm/discobot-test-{Guid.NewGuid():N}").FullName, new SharedCounters());
        var access = new VolumeAccess(new SharedVolume(directory), TimeProvider.System, NullLogger<VolumeAccess>.Instance);
        var bodies = new SharedBodies(access, counters, TimeProvider.System, NullLogger<SharedBodies>.Instance);
        var (fifo, source) = (Path.Join(directory, "fifo"), Path.Join(directory, "source"));
        await File.WriteAllBytesAsync(source, [1]);
        using (var process = Process.Start("mkfifo", [fifo]))
            await process.WaitForExitAsync();
        access.Refused("full");
        for (var i = 0; i < 1000; i++)
            bodies.Offer(Hash256.Of($"{i}"), source, 1, fromNear: false);
        access.Written();
        // The two that are copied at a time wait for whoever writes to it.
        for (var i = 0; i < 2; i++)
            bodies.Offer(Hash256.Of($"fifo {i}"), fifo, 0, fromNear: false);
        for (var i = 0; i < 1000; i++)
            bodies.Offer(Hash256.Of($"{i}"), source, 1, fromNear: false);
        await using (new FileStream(fifo, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            await CacheStage.EventuallyAsync(() => counters.Show("", null, false, 0).Placed >= 256);
        await CacheStage.EventuallyAsync(() => Directory.GetFiles(Path.Join(directory, "incoming")).Length == 0);
        Assert.Equal(256, counters.Show("", null, false, 0).Placed);
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>Its address names no digest that it must have, so nobody could find it.</summary>
    [Fact]
    public async Task What_is_stored_by_its_address_alone_is_not_shared()
    {
        _containers.First.Origin = context =>
        {
            context.Response.Headers.CacheControl = "max-age=600";
            return context.Response.Body.WriteAsync(_body).AsTask();
        };
        await _containers.First.FetchAsync(_containers.First.Url("/left-pad/-/left-pad-1.3.0.tgz"));
        await _containers.First.Store.CommittedAsync();
        Assert.Equal(1, _containers.First.Stats.Entries);
        Assert.DoesNotContain(_containers.Files(), f => f.StartsWith("sha256", StringComparison.Ordinal));
    }
}
