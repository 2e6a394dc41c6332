using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

public sealed class WorkspaceTests
{
    private const string Repository = """
        mkdir -p /.workspace; cd /.workspace; git init -q .; git config user.email a@b; git config user.name n
        echo one > file; git add .; git commit -qm 1; git tag first; echo two > file; git commit -qam 2; printf untouched > untracked; cd /
        """;

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task What_the_session_writes_the_CA_and_the_cache_are_there_after_a_restart(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("mkdir -p /.workspace/deep; echo content > /.workspace/deep/file; mkfifo /.workspace/fifo; echo image > /home/discobot/.from-image");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.AgentSays("cat deep/file ~/.from-image; [ ! -e fifo ]; stat -c %U deep/file; echo mine >> deep/file; echo new > ~/note");
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("\ncontent\nimage\ndiscobot\n", log, StringComparison.Ordinal);
        Assert.Contains("1 FIFOs, sockets or devices left out", log, StringComparison.Ordinal);
        var authority = await container.ReadAsync("/.data/proxy/certs/ca.crt");

        container.AgentSays("cat deep/file ~/note; cat /workspace/deep/file | wc -l");
        Assert.Equal(0, await container.RunAsync());
        log = await container.OutputAsync();
        Assert.Contains("\ncontent\nmine\nnew\n2\n", log, StringComparison.Ordinal);
        Assert.Equal(authority, await container.ReadAsync("/.data/proxy/certs/ca.crt"));
        Assert.DoesNotContain("generated CA", log, StringComparison.Ordinal);
        Assert.DoesNotContain("copying it", log, StringComparison.Ordinal);
    }

    public static TheoryData<Distro, string> Paths()
    {
        var all = new TheoryData<Distro, string>();
        foreach (var distro in new[] { Distro.Debian, Distro.Alpine, Distro.Fedora })
        {
            all.Add(distro, "/.workspace");
            all.Add(distro, "file:///.workspace");
        }

        return all;
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_repository_is_cloned_at_the_commit_on_a_branch_of_the_session(Distro distro, string path)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare($"if command -v git; then {Repository}\nelse mkdir -p /.workspace/.git; fi");
        container.Environment["WORKSPACE_PATH"] = path;
        container.Environment["WORKSPACE_COMMIT"] = "first";
        container.AgentSays("cat file; git status -sb | head -1; stat -c %U file; cat /.workspace/untracked");
        var (code, log) = (await container.RunAsync(), await container.OutputAsync());
        if (await RepositoryTests.LacksGitAsync(distro, code, log, path))
            return;
        Assert.Equal(0, code);
        Assert.Contains("\none\n## discobot-session\ndiscobot\nuntouched", log, StringComparison.Ordinal);
        Assert.Equal(0, await container.RunAsync());
        Assert.DoesNotContain("cloning", await container.OutputAsync(), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Caches_of_the_project_are_shown_in_the_home_and_no_link_leads_them_out(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Volumes = ["/.data/cache"] };
        container.Prepare("""
            mkdir -p /.workspace/.discobot; ln -s /etc /.workspace/elsewhere; ln -s /etc /home/discobot/.npm
            echo '{"additionalPaths": ["/home/discobot/own/cache", "/home/discobot/workspace/elsewhere/x", "/home/discobot/../../etc", "/etc"]}' > /.workspace/.discobot/cache.json
            """);
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.AgentSays("echo kept > ~/own/cache/file; echo kept > ~/.cargo/registry/file; ls -ld /etc | cut -c1-10; ls /etc/x");
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("\ndrwxr-xr-x\n", log, StringComparison.Ordinal);
        Assert.Contains("No such file", log, StringComparison.Ordinal);
        Assert.Contains("cache .npm not mounted", log, StringComparison.Ordinal);
        Assert.Contains("cache workspace/elsewhere/x not mounted", log, StringComparison.Ordinal);
        Assert.Equal("kept\n", await container.ReadAsync("/.data/cache/home/discobot/own/cache/file"));
        Assert.Equal("kept\n", await container.ReadAsync("/.data/cache/home/discobot/.cargo/registry/file"));
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Hooks_run_as_the_agent_behind_the_proxy_and_none_can_fail_or_hold_the_start(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("mkdir -p /.workspace/.discobot/hooks");
        Hook(container, "10-user", "blocking: true", "id -u; env; exit 4");
        Hook(container, "20-root", "run_as: root", "echo ran as root");
        // Its child keeps the output open; its line is longer than any buffer.
        Hook(container, "30-long", "blocking: true", "sleep 100 & head -c 200000 /dev/zero | tr '\\0' x; echo end");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.AgentSays("cat ~/.discobot/session-1/hooks/status.json; rm -r ~/.discobot; ln -s /etc ~/.discobot");
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("[10-user] 1000", log, StringComparison.Ordinal);
        Assert.All(ProxyVariables.Nine, variable => Assert.Contains($"[10-user] {variable}\n", log, StringComparison.Ordinal));
        Assert.Contains("\"lastExitCode\":4", log, StringComparison.Ordinal);
        Assert.Contains("xend", log, StringComparison.Ordinal);
        Assert.Contains("hook 20-root asks for root and is not run", log, StringComparison.Ordinal);
        Assert.DoesNotContain("ran as root", log, StringComparison.Ordinal);

        // The agent has put a link where the records were: nothing is written through it.
        container.Agent("ls -d /etc/session-1; exit 0");
        Assert.Equal(0, await container.RunAsync());
        Assert.Contains("No such file", await container.OutputAsync(), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Where_mounting_is_impossible_the_start_fails_and_no_work_is_lost(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Capabilities = [] };
        container.Prepare("mkdir -p /.data/.overlayfs/session-1/upper/; echo work > /.data/.overlayfs/session-1/upper/note");
        Assert.Equal(1, await container.RunAsync());
        Assert.Contains("Mounting needs CAP_SYS_ADMIN", await container.OutputAsync(), StringComparison.Ordinal);
        Assert.Equal("work\n", await container.ReadAsync("/.data/.overlayfs/session-1/upper/note"));
    }

    private static void Hook(SessionContainer container, string name, string line, string script)
    {
        container.Program($"/tmp/{name}", $"#---\n# type: session\n# {line}\n#---\n{script}");
        container.Prepare($"cp -p /tmp/{name} /.workspace/.discobot/hooks/");
    }
}
