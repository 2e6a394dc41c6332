using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Discobot.Features.Credentials;

public sealed class SecretCommandTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero));

    private readonly Spawner _spawner = new(Executable.Path);

    public void Dispose()
    {
        _spawner.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task What_it_writes_counts_until_it_expires_and_it_is_run_once_for_all_who_wait()
    {
        var command = Command("echo >> \"$0\"; echo token-$(wc -l < \"$0\")-x", Path.Combine(_directory, "runs"));
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => command.RefreshAsync(default).AsTask()));
        Assert.Equal(("token-1-x", null), command.Read());
        _time.Advance(TimeSpan.FromMinutes(4));
        await command.RefreshAsync(default);
        Assert.Equal(("token-1-x", null), command.Read());
        _time.Advance(TimeSpan.FromMinutes(1));
        // It is looked for, and not sent.
        Assert.Equal(("token-1-x", "what its command said has expired"), command.Read());
        await command.RefreshAsync(default);
        Assert.Equal(("token-2-x", null), command.Read());
    }

    [Fact]
    public async Task It_may_say_itself_when_that_is()
    {
        var command = Command("""echo '{"value": "token-of-json", "expires": "2026-01-31T12:01:00Z"}'""");
        await command.RefreshAsync(default);
        Assert.Equal(("token-of-json", null), command.Read());
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.NotNull(command.Read().Problem);
    }

    [Theory]
    [InlineData("echo a-real-secret >&2; echo a-real-secret; exit 3", "ended with 3")]
    [InlineData("echo short", "gave nothing that can be used: what it wrote is shorter than 8 characters")]
    [InlineData("echo a-real-secret; echo second line", "gave nothing that can be used: what it wrote holds blanks")]
    [InlineData("echo '{\"token\": \"a-real-secret\"}'", "wrote JSON that is not")]
    [InlineData("head -c 70000 /dev/zero", "wrote more than 64KiB")]
    [InlineData("echo '{\"value\": \"a-real-secret\", \"expires\": \"2020-01-31T12:00:00Z\"}'", "said that its value has expired")]
    [InlineData("echo '{\"value\": \"a-real-secret\", \"expires\": \"2026-01-31T12:00:00.9Z\"}'", "said that its value has expired")]
    public async Task What_goes_wrong_is_told_without_what_it_wrote_and_it_is_not_run_again_at_once(string script, string problem)
    {
        var command = Command($"echo >> \"$0\"; {script}", Path.Combine(_directory, "runs"));
        await command.RefreshAsync(default);
        await command.RefreshAsync(default);
        Assert.Null(command.Read().Value);
        Assert.StartsWith($"its command {problem}", command.Read().Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("real-secret", command.Read().Problem, StringComparison.Ordinal);
        Assert.Single(await File.ReadAllLinesAsync(Path.Combine(_directory, "runs")));
    }

    [Theory]
    [InlineData("sleep 1000 & echo $! > \"$0.new\"; mv \"$0.new\" \"$0\"; wait", true)]
    [InlineData("setsid sleep 1000 & echo $! > \"$0.new\"; mv \"$0.new\" \"$0\"; wait", true)]
    [InlineData("sleep 1000 & echo $! > \"$0.new\"; mv \"$0.new\" \"$0\"", true)]
    [InlineData("sleep 1000 > /dev/null 2>&1 & echo $! > \"$0.new\"; mv \"$0.new\" \"$0\"; echo token-of-a-program", false)]
    public async Task Nobody_whom_it_has_started_is_left_whether_it_hangs_or_has_ended(string script, bool hangs)
    {
        var child = Path.Combine(_directory, "child");
        var command = Command(script, child);
        var refreshed = command.RefreshAsync(default).AsTask();
        await Eventually.TrueAsync(() => Task.FromResult(File.Exists(child)));
        await Eventually.TrueAsync(() =>
        {
            if (hangs)
                _time.Advance(TimeSpan.FromMinutes(1));
            return Task.FromResult(refreshed.IsCompleted);
        });
        await refreshed;
        Assert.Equal(hangs ? (null, "its command did not end within 1m") : ("token-of-a-program", null), command.Read());
        var id = int.Parse(await File.ReadAllTextAsync(child), CultureInfo.InvariantCulture);
        await Eventually.TrueAsync(() => Task.FromResult(!ProcessTree.Read().Running.Contains(id)));
    }

    [Fact]
    public async Task One_that_is_not_there_is_told()
    {
        var command = new SecretCommand("s", new SecretCommandOptions(["/nowhere/at/all"], TimeSpan.FromMinutes(5), true, TimeSpan.FromSeconds(2)), _spawner, _time, NullLogger<SecretCommand>.Instance);
        await command.RefreshAsync(default);
        Assert.StartsWith("its command cannot be run", command.Read().Problem, StringComparison.Ordinal);
    }

    /// <summary>What has become root's (sudo, set-user-ID) another user's proxy cannot end.</summary>
    [Fact]
    public async Task One_that_cannot_be_ended_is_in_the_way_of_no_other_request_and_is_not_run_a_second_time()
    {
        var port = RunningProxy.FreePort();
        Run("""
            cp /usr/bin/setpriv $0/become; chmod 4755 $0/become; chmod 755 $0; mkdir $0/own; chown 65534 $0/own; touch $0/runs
            printf '#!/bin/sh\necho $$ >> %s\nexec sleep 1000\n' $0/runs > $0/hangs; chmod 755 $0/hangs
            """);
        await File.WriteAllTextAsync(Path.Combine(_directory, "config.yaml"), $$"""
            proxy: {port: {{port}}, api_port: {{RunningProxy.FreePort()}}}
            tls: {cert_dir: {{_directory}}/own/certs}
            cache: {dir: {{_directory}}/own/cache}
            api: {token_file: {{_directory}}/own/token}
            logging: {file: {{_directory}}/own/log}
            secrets:
              s: {command: [{{_directory}}/become, --reuid=0, --regid=0, --clear-groups, {{_directory}}/hangs], timeout: 3s, hosts: [localhost], allow_plaintext: true, env: TOKEN}
            """);
        using var authority = new TestAuthority();
        await using var origin = await TestOrigin.StartAsync(authority.Issue(["localhost"]), context => context.Response.WriteAsync("fine"));
        var start = new ProcessStartInfo("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", Executable.Path, "proxy", "--config", Path.Combine(_directory, "config.yaml")]);
        (start.Environment["DOTNET_ROOT"], start.Environment["DOTNET_EnableDiagnostics"]) = (Executable.Runtime, "0");
        using var process = Process.Start(start)!;
        try
        {
            using var client = new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{port}") });
            await UntilAsync(async () =>
            {
                try
                {
                    using var answer = await client.GetAsync(new Uri(origin.Http));
                    Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                    return true;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            });
            client.DefaultRequestHeaders.Add("X-Token", (await File.ReadAllTextAsync(Path.Combine(_directory, "own", "placeholders.env"))).Trim()["TOKEN=".Length..]);
            await UntilAsync(async () =>
            {
                using var answer = await client.GetAsync(new Uri(origin.Http));
                Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
                return (await answer.Content.ReadAsStringAsync()).Contains("goes on since it was run last, and cannot be ended", StringComparison.Ordinal);
            });
            Assert.Single(await File.ReadAllLinesAsync(Path.Combine(_directory, "runs")));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
            Run("for p in $(cat $0/runs); do kill -9 $p; done");
        }
    }

    /// <summary>It may ask something by way of the proxy itself.</summary>
    [Fact]
    public async Task At_the_start_those_alone_wait_who_ask_its_hosts()
    {
        await using var proxy = await RunningProxy.StartAsync("""
            secrets:
              slow: {command: [/bin/sh, -c, "while [ ! -e {DIR}/go ]; do sleep 0.1; done; echo token-of-a-program"], timeout: 1m, hosts: [localhost], env: SLOW}
            """);
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync($"got {context.Request.Headers.Authorization}"));
        using var client = proxy.Client();
        Assert.Equal("got ", await client.GetStringAsync(new Uri($"http://127.0.0.1:{origin.HttpPort}/")));
        var directory = Path.GetDirectoryName(proxy.LogFile)!;
        client.DefaultRequestHeaders.Add("Authorization", $"Bearer {(await File.ReadAllTextAsync(Path.Combine(directory, "placeholders.env"))).Trim()["SLOW=".Length..]}");
        // To others it is refused without waiting for its value.
        using var refused = await client.GetAsync(new Uri($"http://127.0.0.1:{origin.HttpPort}/"));
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        var waiting = client.GetAsync(new Uri(origin.Https));
        await File.WriteAllTextAsync(Path.Combine(directory, "go"), "");
        using var answer = await waiting;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task A_request_gets_what_the_command_says_and_is_503_where_it_fails()
    {
        var seen = "";
        await using var proxy = await RunningProxy.StartAsync("""
            secrets:
              good: {command: [/bin/sh, -c, "echo token-of-a-program"], hosts: [localhost], env: GOOD}
              bad: {command: [/bin/sh, -c, "echo token-of-a-failure; exit 1"], hosts: [localhost], env: BAD}
            """);
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context =>
        {
            seen = context.Request.Headers.Authorization.ToString();
            return context.Response.WriteAsync("fine");
        });
        var placeholders = (await File.ReadAllLinesAsync(Path.Combine(Path.GetDirectoryName(proxy.LogFile)!, "placeholders.env"))).Select(line => line.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        using var client = proxy.Client();
        foreach (var (name, status) in new[] { ("GOOD", HttpStatusCode.OK), ("BAD", HttpStatusCode.ServiceUnavailable) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, origin.Https) { Headers = { { "Authorization", $"Bearer {placeholders[name]}" } } };
            using var answer = await client.SendAsync(request);
            Assert.Equal(status, answer.StatusCode);
        }

        Assert.Equal("Bearer token-of-a-program", seen);
        var log = await File.ReadAllTextAsync(proxy.LogFile);
        Assert.Contains("command of a secret failed secret=bad reason=\"ended with 1\"", log, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("token-of", log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{command: [token], hosts: [a.example]}", "secrets.s.command: must be a list of a program, by its absolute path")]
    [InlineData("{command: [/bin/true], value: \"env:X\", hosts: [a.example]}", "secrets.s.command: must not be there beside value")]
    [InlineData("{hosts: [a.example]}", "secrets.s.value: is needed")]
    [InlineData("{command: [/bin/true], ttl: 0, hosts: [a.example]}", "secrets.s.ttl: must be a time from 1s")]
    public void Mistakes_are_told_with_their_place(string secret, string error) => Assert.Contains(
        error, SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse($"secrets: {{s: {secret}}}", "c.yaml")).ErrorText(), StringComparison.Ordinal);

    private SecretCommand Command(string script, params string[] arguments) => new(
        "s", new SecretCommandOptions([.. ImmutableArray.Create("/bin/sh", "-c", script), .. arguments], TimeSpan.FromMinutes(5), false, TimeSpan.FromMinutes(1)), _spawner, _time, NullLogger<SecretCommand>.Instance);

    // Its time and the pause after it are the real ones, and on a machine that is busy it may be ended before it is anybody else's, and is run again.
    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        for (var clock = Stopwatch.StartNew(); !await condition(); await Task.Delay(100))
            Assert.True(clock.Elapsed < TimeSpan.FromMinutes(2), "it did not happen within two minutes");
    }

    private void Run(string script)
    {
        using var shell = Process.Start("/bin/sh", ["-ec", script, _directory]);
        shell.WaitForExit(TimeSpan.FromSeconds(20));
    }
}
