using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>Workspaces cloned from a server, where the image has a git; where it has none, the error says what to do.</summary>
[Collection("own sessions")]
public sealed class RepositoryTests(RunningSessions sessions)
{
    private const string Url = "https://packages.test/repo.git";

    /// <summary>A branch and commits that the clone of the main branch brings or does not, by all their names.</summary>
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_URL_is_cloned_at_a_branch_a_tag_or_a_commit(Distro distro)
    {
        var server = await sessions.PackagesAsync();
        var ofFeature = (await server.RunAsync("git", "-C", "/srv/git/repo.git", "rev-parse", "feature")).Trim();
        (string Commit, string Content)[] cases =
            [("", "cloned"), ("main", "cloned"), ("feature", "of the feature"), ("v1", "first"), ("loose", "of nobody"), (ofFeature, "of the feature"), (ofFeature[..8], "of the feature")];
        foreach (var (commit, content) in cases)
        {
            var (code, log) = await CloneAsync(distro, Url, commit);
            if (await LacksGitAsync(distro, code, log, Url))
                return;
            var branch = commit.Length == 0 ? "main" : "discobot-session";
            Assert.True(code == 0 && log.Contains($"\n{content}\n## {branch}", StringComparison.Ordinal), $"{commit}: {code}\n{log}");
            Assert.Contains("\nowner discobot\n", log, StringComparison.Ordinal);
        }
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_commit_that_does_not_exist_ends_the_start_with_its_name(Distro distro)
    {
        await sessions.PackagesAsync();
        var (code, log) = await CloneAsync(distro, Url, "nowhere");
        if (await LacksGitAsync(distro, code, log, Url))
            return;
        Assert.Equal(1, code);
        Assert.Contains($"error: workspace failed: WORKSPACE_COMMIT nowhere is no commit, branch or tag of {Url}\n", log, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_password_in_the_URL_opens_the_repository_and_is_in_no_line_of_the_log(Distro distro)
    {
        await sessions.PackagesAsync();
        const string Private = "@packages.test/private.git";
        var (code, log) = await CloneAsync(distro, "https://user:geheim" + Private, "feature");
        Assert.DoesNotContain("geheim", log, StringComparison.Ordinal);
        if (await LacksGitAsync(distro, code, log, "https://***" + Private))
            return;
        Assert.True(code == 0 && log.Contains("\nof the feature\n", StringComparison.Ordinal), log);
        Assert.Contains("cloning https://***" + Private, log, StringComparison.Ordinal);

        (code, log) = await CloneAsync(distro, "https://user:falsch" + Private, "");
        Assert.Equal(1, code);
        Assert.Contains("error: workspace failed: git clone failed", log, StringComparison.Ordinal);
        Assert.DoesNotContain("falsch", log, StringComparison.Ordinal);
    }

    private async Task<(long Code, string Log)> CloneAsync(Distro distro, string url, string commit)
    {
        await using var container = sessions.New(distro, clients: false, docker: false);
        container.Environment["WORKSPACE_PATH"] = url;
        container.Environment["WORKSPACE_COMMIT"] = commit;
        container.Environment["DISCOBOT_DEBUG"] = "1";
        // In one write: process 1 has lines for the same log.
        container.Agent("said=$(cat file; echo; git status -sb | head -1; stat -c 'owner %U' file); echo \"$said\"; exit 0");
        return (await container.RunAsync(), await container.OutputAsync());
    }

    /// <summary>Whether the image has no git; then the error was the one that names it.</summary>
    internal static async Task<bool> LacksGitAsync(Distro distro, long code, string log, string shown)
    {
        if ((await Engine.DockerAsync("run", "--rm", "--label", Engine.Label, "--entrypoint", "/bin/sh", distro.Image, "-c", "command -v git || echo none")).Trim() != "none")
            return false;
        Assert.Equal(1, code);
        Assert.Contains($"error: workspace failed: git is not installed, so {shown} cannot be cloned: put git into the image", log, StringComparison.Ordinal);
        return true;
    }
}
