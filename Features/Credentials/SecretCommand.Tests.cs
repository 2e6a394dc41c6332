using System.Collections.Immutable;
using System.Net;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Discobot.Features.Credentials;

public sealed class SecretCommandTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero));

    public void Dispose() => Directory.Delete(_directory, recursive: true);

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

    [Fact]
    public async Task One_that_hangs_is_ended_with_all_that_it_started()
    {
        var command = new SecretCommand("s", new SecretCommandOptions(["/bin/sh", "-c", "sleep 1000 & echo $! > \"$0\"; wait", Path.Combine(_directory, "child")], TimeSpan.FromMinutes(5), true, TimeSpan.FromSeconds(2)), TimeProvider.System, NullLogger<SecretCommand>.Instance);
        await command.RefreshAsync(default);
        Assert.Equal("its command did not end within 2s", command.Read().Problem);
        var child = (await File.ReadAllTextAsync(Path.Combine(_directory, "child"))).Trim();
        await Eventually.TrueAsync(async () => !File.Exists($"/proc/{child}/stat") || (await File.ReadAllTextAsync($"/proc/{child}/stat")).Contains(") Z", StringComparison.Ordinal));
    }

    [Fact]
    public async Task One_that_is_not_there_is_told()
    {
        var command = new SecretCommand("s", new SecretCommandOptions(["/nowhere/at/all"], TimeSpan.FromMinutes(5), true, TimeSpan.FromSeconds(2)), _time, NullLogger<SecretCommand>.Instance);
        await command.RefreshAsync(default);
        Assert.StartsWith("its command cannot be run", command.Read().Problem, StringComparison.Ordinal);
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
        "s", new SecretCommandOptions([.. ImmutableArray.Create("/bin/sh", "-c", script), .. arguments], TimeSpan.FromMinutes(5), false, TimeSpan.FromMinutes(1)), _time, NullLogger<SecretCommand>.Instance);
}
