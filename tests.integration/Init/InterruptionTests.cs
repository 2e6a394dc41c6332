using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>A stop or a kill in the middle of the start.</summary>
public sealed class InterruptionTests
{
    private const long Size = 2L << 30;

    /// <summary>Each step that can be made to last is met by TERM while it does.</summary>
    [Theory, MemberData(nameof(Steps))]
    public async Task A_stop_during_a_step_is_orderly_and_quick(Distro distro, string step)
    {
        await using var container = new SessionContainer(distro) { Docker = step == "dockerd" };
        Slow(container, step);
        await container.StartAsync();
        await container.SeeAsync(step switch { "home" => "data directories completed", "copy" => "copying it", _ => "step runs" });
        var watch = Stopwatch.StartNew();
        await container.SendAsync(step == "hook" ? "INT" : step == "git" ? "QUIT" : "TERM");
        Assert.Equal(0, await container.EndAsync());
        var log = await container.OutputAsync();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(8), $"{watch.Elapsed}\n{log}");
        Assert.Contains("startup interrupted", log, StringComparison.Ordinal);
        Assert.Contains("stopped, exit code 0", log, StringComparison.Ordinal);
        Assert.DoesNotContain("agent-api started", log, StringComparison.Ordinal);
    }

    public static TheoryData<Distro, string> Steps()
    {
        var all = new TheoryData<Distro, string>();
        foreach (var step in new[] { "home", "copy", "git", "agentfs", "proxy", "dockerd", "hook" })
        {
            foreach (Distro distro in Distro.Shells)
                all.Add(distro, step);
        }

        return all;
    }

    /// <summary>Killed in the middle of what it writes most at; <see cref="StepTests"/> has the kills between the steps.</summary>
    [Theory, MemberData(nameof(Copies))]
    public async Task A_start_killed_in_the_middle_of_a_copy_is_repaired_by_the_next(Distro distro, string step)
    {
        await using var container = new SessionContainer(distro);
        var source = step == "home" ? "/home/discobot/large" : "/.workspace/large";
        container.Prepare($"mkdir -p /.workspace; {Large(source)}; echo end >>{source}");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.AgentSays($"f={(step == "home" ? "~/large" : "large")}; stat -c %s $f; tail -c 4 $f");
        await container.StartAsync();
        await container.SeeAsync(step == "home" ? "data directories completed" : "copying it");
        await container.SendAsync("KILL");
        Assert.Equal(137, await container.EndAsync());
        Assert.DoesNotContain(step == "home" ? "base home completed" : "workspace completed", await container.OutputAsync(), StringComparison.Ordinal);

        var code = await container.RunAsync(TimeSpan.FromMinutes(4));
        Assert.True(code == 0, $"{code}\n{await container.OutputAsync()}");
        Assert.Contains($"{Size + 4}\nend\n", await container.OutputAsync(), StringComparison.Ordinal);
    }

    public static TheoryData<Distro, string> Copies() => new() { { Distro.Debian, "home" }, { Distro.Alpine, "copy" } };

    // Without holes, which take no time.
    private static string Large(string path) => $"head -c {Size} /dev/zero >{path}";

    private static void Slow(SessionContainer container, string step)
    {
        const string Wait = "echo step runs >&2; echo step runs; sleep 1000";
        switch (step)
        {
            // More than can be written before the signal comes.
            case "home":
                container.Prepare(Large("/home/discobot/large"));
                break;
            case "copy":
                container.Prepare($"mkdir -p /.workspace; {Large("/.workspace/large")}");
                container.Environment["WORKSPACE_PATH"] = "/.workspace";
                break;
            case "git":
                container.Program("/usr/local/bin/git", Wait);
                container.Environment["WORKSPACE_PATH"] = "https://git.example/a.git";
                break;
            case "agentfs":
                container.Program("/usr/local/bin/agentfs", Wait);
                container.Environment["DISCOBOT_FILESYSTEM"] = "agentfs";
                break;
            case "proxy":
                container.Program("/opt/discobot/bin/slow", Wait);
                container.Prepare("mv /opt/discobot/bin/slow /opt/discobot/bin/proxy");
                break;
            case "dockerd":
                container.Program("/usr/local/sbin/dockerd", Wait);
                break;
            default:
                container.Program("/tmp/hook", $"#---\n# type: session\n# blocking: true\n#---\n{Wait}");
                container.Prepare("mkdir -p /.workspace/.discobot/hooks; cp -p /tmp/hook /.workspace/.discobot/hooks/");
                container.Environment["WORKSPACE_PATH"] = "/.workspace";
                break;
        }
    }
}
