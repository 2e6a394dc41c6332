using System.Diagnostics;
using System.Net;

namespace Discobot.Features.Init.Workspace;

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
        using var fixture = new ContainerFixture(("HTTPS_PROXY", "http://localhost:17080"), ("HTTP_PROXY", "http://corp.example:3128"), ("TOKEN", "of-others"));
        fixture.Program("bin/git", $"printf '%s ' \"$@\" > {fixture.At("arguments")}; env > {fixture.At("environment")}; echo from https://u:geheim@h/a; exit 1");
        var error = await Assert.ThrowsAsync<StartupException>(() => new GitClone(fixture.Container).RunAsync("https://u:geheim@h/a", "/target", CancellationToken.None));
        Assert.EndsWith("clone --single-branch --no-hardlinks -- https://h/a /target ", File.ReadAllText(fixture.At("arguments")), StringComparison.Ordinal);
        var environment = File.ReadAllLines(fixture.At("environment"));
        foreach (var variable in new[] { "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS=true", "HTTP_PROXY=http://corp.example:3128" })
            Assert.Contains(variable, environment);
        Assert.DoesNotContain(environment, line => line.StartsWith("HTTPS_PROXY", StringComparison.Ordinal) || line.StartsWith("TOKEN", StringComparison.Ordinal));
        Assert.Contains("[git] from https://***@h/a", fixture.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", fixture.Output + error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://u:p%40ss@h/a.git", "https://h/a.git", "u", "p@ss")]
    [InlineData("https://u:p@ss@h:8443/a", "https://h:8443/a", "u", "p@ss")]
    [InlineData("https://token@h", "https://h", "token", "")]
    [InlineData("ssh://git:secret@h/a", "ssh://git@h/a", null, "")]
    [InlineData("git@h:a.git", "git@h:a.git", null, "")]
    [InlineData("https://h/@scope/a", "https://h/@scope/a", null, "")]
    [InlineData("/a://b@c/d", "/a://b@c/d", null, "")]
    public void The_password_of_a_URL_stays_out_of_what_the_clone_keeps(string text, string url, string? user, string password)
        => Assert.Equal(new GitSource(url, user, password), GitSource.Parse(text));

    /// <summary>A real git asks a real server that wants a password, and gives it to no other server it is sent to.</summary>
    [Fact]
    public async Task The_clone_has_the_password_and_neither_its_configuration_nor_the_agents_environment_nor_another_server_has_it()
    {
        using var server = new HttpListener();
        var port = 20000 + Random.Shared.Next(20000);
        server.Prefixes.Add($"http://127.0.0.1:{port}/");
        server.Prefixes.Add($"http://localhost:{port}/");
        server.Start();
        var seen = new List<string>();
        var serving = Task.Run(async () =>
        {
            while (server.IsListening)
            {
                HttpListenerContext request;
                try
                {
                    request = await server.GetContextAsync();
                }
                catch (Exception error) when (error is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }

                var given = request.Request.Headers["Authorization"];
                lock (seen)
                    seen.Add($"{request.Request.Url!.Host} {given}");
                if (given is null)
                {
                    request.Response.StatusCode = 401;
                    request.Response.AddHeader("WWW-Authenticate", "Basic realm=x");
                }
                else
                {
                    request.Response.Redirect($"http://localhost:{port}{request.Request.Url.PathAndQuery}");
                }

                request.Response.Close();
            }
        });
        using var fixture = new ContainerFixture(("WORKSPACE_PATH", $"http://u:geheim@127.0.0.1:{port}/a.git"), ("NO_PROXY", "*"));
        await Assert.ThrowsAsync<StartupException>(
            () => new GitClone(fixture.Container).RunAsync(fixture.Container.Session.WorkspacePath, fixture.At("target"), CancellationToken.None));
        server.Stop();
        await serving;
        Assert.Contains("127.0.0.1 Basic dTpnZWhlaW0=", seen);
        Assert.Contains("localhost ", seen);
        Assert.DoesNotContain("localhost Basic dTpnZWhlaW0=", seen);
        Assert.Equal($"http://127.0.0.1:{port}/a.git", fixture.Container.AgentEnvironment(new ProxySummary())["WORKSPACE_PATH"]);
        Assert.Contains("warning: WORKSPACE_PATH holds credentials", fixture.Output, StringComparison.Ordinal);
    }

    /// <summary>As mounts are: the work tree, the repository alone, behind a link and with slashes.</summary>
    [Theory]
    [InlineData("/mnt/repo")]
    [InlineData("/mnt/repo/")]
    [InlineData("/mnt/repo/.git")]
    [InlineData("/link")]
    [InlineData("file:///mnt/repo")]
    public async Task A_repository_of_anybody_is_cloned(string path)
    {
        using var fixture = new ContainerFixture();
        ContainerFixture.Sh("""
            mkdir -p "$1/mnt/repo" "$1/hooks"; ln -s mnt/repo "$1/link"; cd "$1/mnt/repo"; git init -q .; echo x > a; git add .; git -c user.name=n -c user.email=a@b commit -qm 1
            printf '#!/bin/sh\ntouch "%s/ran"\n' "$1" > .git/hooks/post-checkout; chmod 755 .git/hooks/post-checkout; chown -R 1234:1234 .
            """, fixture.Root);
        var source = path.StartsWith('/') ? fixture.At(path) : "file://" + fixture.At(path["file://".Length..]);
        await new GitClone(fixture.Container).RunAsync(source, fixture.At("target"), CancellationToken.None);
        Assert.Equal("x\n", File.ReadAllText(fixture.At("target/a")));
        Assert.False(File.Exists(fixture.At("ran")));
    }

    [Fact]
    public async Task A_worktree_is_cloned_where_its_repository_is_there_and_else_it_is_said_where_that_should_be()
    {
        using var fixture = new ContainerFixture();
        ContainerFixture.Sh("""
            mkdir -p "$1/mnt/repo"; cd "$1/mnt/repo"; git init -q .; echo x > a; git add .; git -c user.name=n -c user.email=a@b commit -qm 1; git worktree add -q ../tree
            """, fixture.Root);
        await new GitClone(fixture.Container).RunAsync(fixture.At("mnt/tree"), fixture.At("target"), CancellationToken.None);
        Assert.Equal("x\n", File.ReadAllText(fixture.At("target/a")));
        Directory.Move(fixture.At("mnt/repo"), fixture.At("elsewhere"));
        var error = await Assert.ThrowsAsync<StartupException>(
            () => new GitClone(fixture.Container).RunAsync(fixture.At("mnt/tree"), fixture.At("other"), CancellationToken.None));
        Assert.Contains($"whose repository is {fixture.At("mnt/repo/.git/worktrees/tree")}, and that is not in this container: mount the repository", error.Message, StringComparison.Ordinal);
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
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(10));
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
