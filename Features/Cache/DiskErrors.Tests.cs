using System.Diagnostics;
using System.Net;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache;

/// <summary>
/// A disk that fails (EIO) while it is written to, or where it has bad sectors: a file system of the test's own (FUSE), by which the kernel gives the error to
/// whoever writes, or reads what was written before. Errors of what is still in the page cache, which come later or never, are not simulated.
/// </summary>
public sealed class DiskErrorsTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly byte[] Body = RandomBytes();

    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly TaskCompletionSource _goOn = new();
    private Process _disk = null!;
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private HttpClient _client = null!;

    private string Mounted => Path.Join(_directory, "mounted");

    public async Task InitializeAsync()
    {
        foreach (var name in new[] { "kept", "mounted" })
            Directory.CreateDirectory(Path.Join(_directory, name));
        // Debian's Python has what it needs (python3-fusepy).
        _disk = Process.Start(new ProcessStartInfo(
            "/usr/bin/python3", [Path.Combine(Checkout.Top(), "tests.unit/Fixtures/failing_disk.py"), Path.Join(_directory, "kept"), Mounted, Path.Join(_directory, "fails")]))!;
        await Eventually.TrueAsync(() => Task.FromResult(_disk.HasExited || File.ReadAllText("/proc/self/mountinfo").Contains($" {Mounted} ", StringComparison.Ordinal)));
        Assert.False(_disk.HasExited);
        _proxy = await RunningProxy.StartAsync($"cache: {{dir: {Mounted}/cache, rules: [{{pattern: ^/files/}}]}}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
        _client = _proxy.Client();
        _client.Timeout = Patience;
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
        using (var unmount = Process.Start("umount", ["--lazy", Mounted]))
            await unmount.WaitForExitAsync();
        _disk.Kill();
        await _disk.WaitForExitAsync();
        _disk.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task In_the_middle_of_a_download_it_costs_nobody_a_byte_and_what_comes_later_is_kept()
    {
        var asked = await _client.GetAsync(new Uri($"{_origin.Http}/files/late"), HttpCompletionOption.ResponseHeadersRead);
        await using (var stream = await asked.Content.ReadAsStreamAsync())
        {
            var got = new byte[Body.Length];
            await stream.ReadExactlyAsync(got.AsMemory(0, 100_000));
            // Some of it is in the file.
            await Eventually.TrueAsync(() => Task.FromResult(Directory.GetFiles(Path.Join(_directory, "kept/cache/tmp")).Any(f => new FileInfo(f).Length > 0)));
            await FailAsync("write");
            _goOn.SetResult();
            await stream.ReadExactlyAsync(got.AsMemory(100_000));
            Assert.Equal(0, await stream.ReadAsync(new byte[1]));
            Assert.Equal(Body, got);
        }

        asked.Dispose();
        await SaidAsync("cache passes through without storing", "/files/late");
        await ExpectAsync("/files/late", "MISS");
        await Eventually.TrueAsync(() => Task.FromResult(Directory.GetFiles(Path.Join(_directory, "kept/cache/tmp")).Length == 0));

        await FailAsync("");
        await ExpectAsync("/files/late", "MISS");
        await Eventually.TrueAsync(() => Task.FromResult(Directory.GetFiles(Path.Join(_directory, "kept/cache"), "*.meta").Length == 1));
        await ExpectAsync("/files/late", "HIT");
    }

    [Fact]
    public async Task What_cannot_be_read_is_asked_for_again_and_kept_again()
    {
        _goOn.SetResult();
        await ExpectAsync("/files/a", "MISS");
        await Eventually.TrueAsync(() => Task.FromResult(Directory.GetFiles(Path.Join(_directory, "kept/cache"), "*.meta").Length == 1));
        // What is written is read by another start, of which nothing is in memory.
        await _proxy.EndAsync();
        await _proxy.BeginAsync();
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(_proxy.LogFile)).Split("cache loaded").Length > 2);
        await FailAsync("read");
        await ExpectAsync("/files/a", "MISS");
        // What has come now lies elsewhere on the disk.
        await Eventually.TrueAsync(() => Task.FromResult(Directory.GetFiles(Path.Join(_directory, "kept/cache/tmp")).Length == 0));
        await ExpectAsync("/files/a", "HIT");
    }

    private static byte[] RandomBytes()
    {
        var body = new byte[1_500_000];
        new Random(14).NextBytes(body);
        return body;
    }

    private Task FailAsync(string what) => File.WriteAllTextAsync(Path.Join(_directory, "fails"), what);

    private async Task ExpectAsync(string path, string cache)
    {
        using var answer = await _client.GetAsync(new Uri(_origin.Http + path));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(Body, await answer.Content.ReadAsByteArrayAsync());
        Assert.Equal(cache, string.Concat(answer.Headers.GetValues("X-Cache")));
    }

    private async Task SaidAsync(string text, string path) => await Eventually.TrueAsync(async () =>
        (await File.ReadAllLinesAsync(_proxy.LogFile)).Any(line => line.Contains(text, StringComparison.Ordinal) && line.Contains(path, StringComparison.Ordinal)));

    private async Task AnswerAsync(HttpContext context)
    {
        context.Response.Headers.CacheControl = "max-age=600";
        context.Response.ContentLength = Body.Length;
        await context.Response.Body.WriteAsync(Body.AsMemory(0, 600_000));
        await context.Response.Body.FlushAsync();
        await _goOn.Task;
        await context.Response.Body.WriteAsync(Body.AsMemory(600_000));
    }
}
