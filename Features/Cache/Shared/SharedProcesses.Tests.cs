using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Shared;

/// <summary>Processes of the executable over one shared directory, as containers have it, and one origin.</summary>
public sealed partial class SharedProcessesTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly TestAuthority _authority = new();
    private readonly ConcurrentQueue<string> _asked = new();
    private readonly List<Container> _containers = [];
    private readonly Dictionary<string, byte[]> _bodies = [];
    private TestOrigin _origin = null!;
    private Func<HttpContext, byte[], Task> _serve = (context, body) => Results.Bytes(body, enableRangeProcessing: true).ExecuteAsync(context);

    private string Shared => Path.Join(_directory, "shared");

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(Shared);
        _origin = await TestOrigin.StartAsync(_authority.Issue(["localhost"]), context =>
        {
            var hex = context.Request.Path.Value![^64..];
            _asked.Enqueue($"{context.Request.Method} {hex}");
            return _serve(context, _bodies[hex]);
        });
    }

    public async Task DisposeAsync()
    {
        foreach (var container in _containers)
            await container.DisposeAsync();
        await _origin.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task Eight_that_pull_the_same_at_the_same_time_cause_one_download_of_each()
    {
        await StartAsync(8);
        string[] bodies = [.. Enumerable.Range(0, 6).Select(i => Body(i == 0 ? 500 : 700_000 * i))];
        var pulls = _containers.Select((container, at) => Task.WhenAll(bodies.Skip(at % 6).Concat(bodies.Take(at % 6)).Select(container.GetAsync)));
        foreach (var pull in await Task.WhenAll(pulls))
            Assert.All(pull, got => Assert.Equal(got.Hex, TemporaryCache.HexOf(got.Body)));
        Assert.Equal(bodies.Order(), _asked.Where(a => a.StartsWith("GET", StringComparison.Ordinal)).Select(a => a[4..]).Order());
    }

    [Fact]
    public async Task Whoever_is_killed_at_whatever_moment_the_others_have_it_right()
    {
        await StartAsync(5);
        var hex = Body(6_000_000);
        var allowed = 0L;
        _serve = async (context, body) =>
        {
            var isGet = HttpMethods.IsGet(context.Request.Method);
            var from = isGet && context.Request.Headers.Range is [{ } range] ? int.Parse(range[6..^1], System.Globalization.CultureInfo.InvariantCulture) : 0;
            context.Response.StatusCode = from > 0 ? 206 : 200;
            if (from > 0)
                context.Response.Headers.ContentRange = $"bytes {from}-{body.Length - 1}/{body.Length}";
            context.Response.ContentLength = body.Length - from;
            for (var at = from; at < body.Length && isGet; at += 100_000)
            {
                while (at >= Volatile.Read(ref allowed))
                    await Task.Delay(10, context.RequestAborted);
                await context.Response.Body.WriteAsync(body.AsMemory(at, Math.Min(100_000, body.Length - at)), context.RequestAborted);
            }
        };
        var pulls = _containers.Select(container => container.GetAsync(hex)).ToArray();
        // Whoever writes is the owner; the next one, too, dies half way. What was read gets to the file by 256 KiB.
        for (var killed = 1; killed <= 2; killed++)
        {
            Volatile.Write(ref allowed, killed * 2_000_000L);
            await Eventually.TrueAsync(() => Task.FromResult(
                new DirectoryInfo(Path.Join(Shared, "incoming")) is { Exists: true } incoming && incoming.GetFiles().Any(f => f.Length >= (killed * 2_000_000) - 300_000)));
            var owner = await OwnerAsync();
            owner.Kill();
            pulls = [.. pulls.Where((_, at) => _containers[at] != owner)];
            _containers.Remove(owner);
        }

        Volatile.Write(ref allowed, long.MaxValue);
        foreach (var got in await Task.WhenAll(pulls))
            Assert.Equal(hex, TemporaryCache.HexOf(got.Body));
        await Eventually.TrueAsync(() => Task.FromResult(File.Exists(FileOf(hex)) && Directory.GetFiles(Path.Join(Shared, "leases")).Length == 0));
        Assert.Equal(hex, TemporaryCache.HexOf(await File.ReadAllBytesAsync(FileOf(hex))));
    }

    /// <summary>As on a network file system that grants every lock to everybody.</summary>
    [Fact]
    public async Task Where_locks_do_not_hold_some_download_twice_and_nobody_has_wrong_bytes()
    {
        // The filter is this thread's, and of the processes that it starts.
        var thread = new Thread(() =>
        {
            GrantEveryLock();
            for (var i = 0; i < 4; i++)
                _containers.Add(new Container(this, i));
        });
        thread.Start();
        thread.Join();
        await Task.WhenAll(_containers.Select(c => c.ReadyAsync()));
        string[] bodies = [Body(2_000_000), Body(3_000_000), Body(500)];
        foreach (var pull in await Task.WhenAll(_containers.Select(c => Task.WhenAll(bodies.Select(c.GetAsync)))))
            Assert.All(pull, got => Assert.Equal(got.Hex, TemporaryCache.HexOf(got.Body)));
        await Eventually.TrueAsync(() => Task.FromResult(bodies.All(hex => File.Exists(FileOf(hex)) && TemporaryCache.HexOf(File.ReadAllBytes(FileOf(hex))) == hex)));
        Assert.InRange(_asked.Count(a => a.StartsWith("GET", StringComparison.Ordinal)), 3, 12);
    }

    [Theory]
    [InlineData("size=1m", "No space left on device")]
    [InlineData("ro", "Read-only file system")]
    public async Task A_directory_that_takes_nothing_costs_no_answer_and_is_told_once(string options, string reason)
    {
        var container = new Container(this, 0, ["unshare", "--mount", "sh", "-c", $"mount -t tmpfs -o {options} tmpfs '{Shared}' && exec \"$@\"", "sh"]);
        _containers.Add(container);
        await container.ReadyAsync();
        foreach (var hex in new[] { Body(3_000_000), Body(2_000_000) })
            Assert.Equal((hex, "MISS"), (await container.GetAsync(hex) is var got ? TemporaryCache.HexOf(got.Body) : "", got.Cache));
        await Eventually.TrueAsync(async () => (await container.StatsAsync()).SharedVolume!.Problem?.Contains(reason, StringComparison.Ordinal) == true);
        Assert.Equal(1, container.Said("shared cache takes nothing"));
        Assert.Contains("discobot_cache_shared_usable 0", await container.AskAsync("/metrics"), StringComparison.Ordinal);
        Assert.Contains($"{Shared} is looked into first", await container.AskAsync($"/api/explain?url=http://127.0.0.1:{_origin.HttpPort}/v2/a/blobs/sha256:{Body(1)}"), StringComparison.Ordinal);
    }

    private string FileOf(string hex) => Path.Join(Shared, "sha256", hex[..2], hex);

    private string Body(int size)
    {
        var body = TemporaryCache.Body(size);
        var hex = TemporaryCache.HexOf(body);
        _bodies[hex] = body;
        return hex;
    }

    private async Task StartAsync(int count)
    {
        _containers.AddRange(Enumerable.Range(0, count).Select(i => new Container(this, i)));
        await Task.WhenAll(_containers.Select(c => c.ReadyAsync()));
    }

    // The one that has the growing file open to write.
    private async Task<Container> OwnerAsync()
    {
        Container? owner = null;
        await Eventually.TrueAsync(() => Task.FromResult((owner = _containers.Find(c => c.Writes(Path.Join(Shared, "incoming")))) is not null));
        return owner!;
    }

    private static void GrantEveryLock()
    {
        var flock = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 32u : 73u;
        // seccomp(2): the number of the call; where it is flock's, "success" without doing it; else it is done.
        ulong[] program = [0x20, 0x15 | 1ul << 24 | (ulong)flock << 32, 0x06 | 0x00050000ul << 32, 0x06 | 0x7fff0000ul << 32];
        // The jump's two distances stand in its third and fourth byte: 0 where it is flock, else 1.
        var filter = Marshal.AllocHGlobal(program.Length * 8);
        Marshal.Copy([.. program.Select(p => (long)p)], 0, filter, program.Length);
        var head = Marshal.AllocHGlobal(16);
        Marshal.WriteInt64(head, program.Length);
        Marshal.WriteIntPtr(head, 8, filter);
        Assert.Equal(0, Control(38, 1, 0, 0, 0));
        Assert.Equal(0, Control(22, 2, head, 0, 0));
    }

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int Control(int option, nint first, nint second, nint third, nint fourth);

    private sealed class Container : IAsyncDisposable
    {
        private readonly Process _process;
        private readonly StringBuilder _log = new();
        private readonly HttpClient _client;
        private readonly int _origin;
        private readonly int _api = RunningProxy.FreePort();

        public Container(SharedProcessesTests test, int number, params string[] before)
        {
            var (own, port) = (Path.Join(test._directory, $"{number}"), RunningProxy.FreePort());
            Directory.CreateDirectory(own);
            File.WriteAllText(Path.Join(own, "config.yaml"), $$"""
                proxy: {port: {{port}}, api_port: {{_api}}}
                allowlist: {enabled: true, mode: learn}
                tls: {cert_dir: {{own}}/certs}
                cache: {dir: {{own}}/cache, shared: {{test.Shared}}}
                api: {token_file: {{own}}/token}
                """);
            string[] command = [.. before, Executable.Path, "proxy", "--config", Path.Join(own, "config.yaml")];
            var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["DOTNET_ROOT"] = Executable.Runtime;
            _process = Process.Start(start)!;
            _process.OutputDataReceived += (_, line) => Keep(line.Data);
            _process.ErrorDataReceived += (_, line) => Keep(line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
            _origin = test._origin.HttpPort;
            _client = new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{port}") }) { Timeout = Patience };
        }

        public async Task ReadyAsync()
        {
            for (var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds; Said(" ready ") == 0; await Task.Delay(20))
                Assert.True(Environment.TickCount64 < deadline && !_process.HasExited, $"it did not start: {Log()}");
        }

        public async Task<(string Hex, byte[] Body, string Cache)> GetAsync(string hex)
        {
            using var answer = await _client.GetAsync(new Uri($"http://127.0.0.1:{_origin}/v2/a/blobs/sha256:{hex}"));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            return (hex, await answer.Content.ReadAsByteArrayAsync(), string.Concat(answer.Headers.GetValues("X-Cache")));
        }

        public async Task<CacheStatistics> StatsAsync()
        {
            using var direct = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            return (await direct.GetFromJsonAsync(new Uri($"http://127.0.0.1:{_api}/api/cache/stats"), CacheJson.Default.CacheStatistics))!;
        }

        public async Task<string> AskAsync(string path)
        {
            using var direct = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            return await direct.GetStringAsync(new Uri($"http://127.0.0.1:{_api}{path}"));
        }

        public bool Writes(string directory) => Directory.GetFiles($"/proc/{_process.Id}/fd").Any(fd =>
            new FileInfo(fd).LinkTarget?.StartsWith(directory, StringComparison.Ordinal) == true
            && File.ReadAllLines(fd.Replace("/fd/", "/fdinfo/", StringComparison.Ordinal)).Any(line => line.StartsWith("flags:", StringComparison.Ordinal) && line.EndsWith('2')));

        public void Kill()
        {
            _process.Kill();
            _process.WaitForExit();
        }

        public int Said(string text) => Log().Split(text).Length - 1;

        public async ValueTask DisposeAsync()
        {
            _client.Dispose();
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        private string Log()
        {
            lock (_log)
                return _log.ToString();
        }

        private void Keep(string? line)
        {
            lock (_log)
                _log.Append(line).Append('\n');
        }
    }
}
