using System.Diagnostics;
using System.Globalization;
using System.Net;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache;

/// <summary>The executable, to which the kernel gives no descriptor, or no byte in any file, for a while: what is asked for comes, and nothing is kept.</summary>
public sealed class DiskFaultsTests : IAsyncLifetime, IDisposable
{
    private const int Size = 300_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly TestAuthority _authority = new();
    private TestOrigin _origin = null!;
    private Process _proxy = null!;
    private HttpClient _client = null!;

    private readonly System.Text.StringBuilder _log = new();

    public async Task InitializeAsync()
    {
        _origin = await TestOrigin.StartAsync(_authority.Issue(["localhost"]), context =>
        {
            context.Response.Headers.CacheControl = "max-age=600";
            context.Response.Headers.Vary = context.Request.Path.Value!.Contains("varies", StringComparison.Ordinal) ? "Accept" : default;
            return context.Response.Body.WriteAsync(Body(context.Request.Path)).AsTask();
        });
        var port = RunningProxy.FreePort();
        var file = Path.Join(_directory, "config.yaml");
        await File.WriteAllTextAsync(file, $$"""
            proxy: {port: {{port}}, api_port: {{RunningProxy.FreePort()}}}
            allowlist: {enabled: true, mode: learn}
            tls: {cert_dir: {{_directory}}/certs}
            cache: {dir: {{_directory}}/cache, rules: [{pattern: ^/files/}]}
            api: {token_file: {{_directory}}/token}
            """);
        // Its log goes to a pipe, for which no limit is.
        _proxy = Process.Start(new ProcessStartInfo(Executable.Path, ["proxy", "--config", file]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _proxy.OutputDataReceived += (_, line) => Keep(line.Data);
        _proxy.ErrorDataReceived += (_, line) => Keep(line.Data);
        _proxy.BeginOutputReadLine();
        _proxy.BeginErrorReadLine();
        await SaidAsync(" ready ");
        _client = new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{port}"), MaxConnectionsPerServer = 1 }) { Timeout = Patience };
    }

    public async Task DisposeAsync()
    {
        _proxy.Kill();
        await _proxy.WaitForExitAsync();
        _proxy.Dispose();
        await _origin.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    public void Dispose()
    {
        _client.Dispose();
        _authority.Dispose();
    }

    /// <summary>EMFILE: the connections that there are go on, and there is no file for what comes.</summary>
    [Fact]
    public async Task Without_a_descriptor_what_is_asked_for_comes_is_not_kept_and_the_log_says_so_once_for_each()
    {
        // One connection of the client and one to its origin are open from now on.
        await ExpectAsync("/files/known", "MISS");
        await StoredAsync(1);
        // Those that are open stay so, and whatever number is free, no other comes.
        await LimitAsync("--nofile=3:");
        await ExpectAsync("/files/a", "MISS");
        await ExpectAsync("/files/a", "MISS");
        await ExpectAsync("/files/b", "MISS");
        await SaidAsync("cache passes through without storing", 3);

        await LimitAsync("--nofile=1024:");
        await ExpectAsync("/files/a", "MISS");
        await StoredAsync(2);
        await ExpectAsync("/files/a", "HIT");
        await ExpectAsync("/files/known", "HIT");
        Assert.False(_proxy.HasExited);
    }

    /// <summary>EFBIG, as of <c>ulimit -f</c>: bodies are larger than may be, and then so is whatever stands beside them.</summary>
    [Theory]
    [InlineData(4096, "/files/a", "cache passes through without storing")]
    [InlineData(0, "/files/a", "cache passes through without storing")]
    [InlineData(100, "/files/small", "cache dropped")]
    [InlineData(0, "/files/varies", "cache passes through without storing")]
    public async Task Where_a_file_may_grow_no_more_what_is_asked_for_comes_and_is_kept_again_when_it_may(int limit, string path, string told)
    {
        await ExpectAsync("/files/known", "MISS");
        await StoredAsync(1);
        await LimitAsync($"--fsize={limit}:");
        for (var time = 1; time <= 2; time++)
        {
            await ExpectAsync(path, "MISS");
            await SaidAsync(told, time);
        }

        await ExpectAsync("/files/known", "HIT");
        // A file that is larger already: these two are told of once, however often they fail.
        string[] others = limit <= 100 ? ["what is learned will be forgotten at the end", "audit not written"] : [];
        foreach (var other in others)
            await SaidAsync(other);

        await LimitAsync("--fsize=unlimited:");
        await ExpectAsync(path, "MISS");
        await StoredAsync(2);
        await ExpectAsync(path, "HIT");
        Assert.False(_proxy.HasExited);
        Assert.All(others, other => Assert.Equal(1, Said(other)));
    }

    // By the number, so that no name is looked up.
    private async Task ExpectAsync(string path, string cache)
    {
        using var answer = await _client.GetAsync(new Uri($"http://127.0.0.1:{_origin.HttpPort}{path}"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(Body(path), await answer.Content.ReadAsByteArrayAsync());
        Assert.Equal(cache, string.Concat(answer.Headers.GetValues("X-Cache")));
    }

    private static byte[] Body(string path)
    {
        var body = new byte[path.EndsWith("small", StringComparison.Ordinal) ? 50 : Size];
        new Random(path.Length + path[^1]).NextBytes(body);
        return body;
    }

    private async Task LimitAsync(string limit)
    {
        using var process = Process.Start("prlimit", [$"--pid={_proxy.Id}", limit]);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private Task StoredAsync(int count) => Eventually.TrueAsync(() => Task.FromResult(
        Directory.GetFiles(Path.Join(_directory, "cache"), "*.meta").Length >= count && Directory.GetFiles(Path.Join(_directory, "cache/tmp")).Length == 0));

    private void Keep(string? line)
    {
        lock (_log)
            _log.Append(line).Append('\n');
    }

    private int Said(string text)
    {
        lock (_log)
            return _log.ToString().Split(text).Length - 1;
    }

    private async Task SaidAsync(string text, int times = 1)
    {
        for (var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds; Said(text) < times; await Task.Delay(20))
            Assert.True(Environment.TickCount64 < deadline, $"{text} was not said {times} times: {_log}");
    }
}
