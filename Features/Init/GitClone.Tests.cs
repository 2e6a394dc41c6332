using System.Diagnostics;

namespace Discobot.Features.Init;

public sealed class GitCloneTests
{
    [Theory]
    [InlineData("https://user:secret@example.com/a.git", "https://***@example.com/a.git")]
    [InlineData("https://user:p@ss@example.com/a.git", "https://***@example.com/a.git")]
    [InlineData("fatal: unable to access 'https://ghp_x@h/a/': 403", "fatal: unable to access 'https://***@h/a/': 403")]
    [InlineData("'https://h/a.git?private_token=x' not found", "'https://h/a.git?***' not found")]
    [InlineData("git@example.com:a.git", "git@example.com:a.git")]
    [InlineData("https://example.com/@scope/a", "https://example.com/@scope/a")]
    public void Credentials_never_reach_the_log(string text, string shown) => Assert.Equal(shown, GitClone.Redact(text));

    [Fact]
    public async Task The_source_is_no_option_nobody_is_asked_and_our_own_proxy_that_is_not_up_is_not_used()
    {
        using var fixture = new ContainerFixture(("HTTPS_PROXY", "http://localhost:17080"), ("HTTP_PROXY", "http://corp.example:3128"));
        fixture.Program("bin/git", $"printf '%s ' \"$@\" > {fixture.At("arguments")}; env > {fixture.At("environment")}; echo from https://u:geheim@h/a; exit 1");
        var error = await Assert.ThrowsAsync<StartupException>(() => new GitClone(fixture.Container).RunAsync("https://u:geheim@h/a", "/target", CancellationToken.None));
        Assert.Equal("clone --single-branch --no-hardlinks -- https://u:geheim@h/a /target ", File.ReadAllText(fixture.At("arguments")));
        var environment = File.ReadAllLines(fixture.At("environment"));
        foreach (var variable in new[] { "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS=true", "HTTP_PROXY=http://corp.example:3128" })
            Assert.Contains(variable, environment);
        Assert.DoesNotContain(environment, line => line.StartsWith("HTTPS_PROXY", StringComparison.Ordinal));
        Assert.Contains("[git] from https://***@h/a", fixture.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", fixture.Output + error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_clone_that_takes_too_long_is_ended_and_told()
    {
        using var fixture = new ContainerFixture();
        fixture.Program("bin/git", "trap '' TERM; while :; do sleep 0.1; done");
        var watch = Stopwatch.StartNew();
        var error = await Assert.ThrowsAsync<StartupException>(
            () => new GitClone(fixture.Container, TimeSpan.FromSeconds(1)).RunAsync("https://h/a", "/target", CancellationToken.None));
        Assert.Equal("git clone was ended: it took longer than 0.02 minutes", error.Message);
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(0.9), TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_missing_git_is_named_with_what_to_do_about_it()
    {
        using var fixture = new ContainerFixture(("PATH", "/nowhere"));
        var error = await Assert.ThrowsAsync<StartupException>(() => new GitClone(fixture.Container).RunAsync("https://u:p@h/a", "/t", CancellationToken.None));
        Assert.Equal(
            "git is not installed, so https://***@h/a cannot be cloned: put git into the image, or mount a directory without .git, which is copied",
            error.Message);
    }
}
