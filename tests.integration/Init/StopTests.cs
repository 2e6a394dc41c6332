using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

public sealed class StopTests
{
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task The_agent_ends_before_the_proxy_and_a_clean_stop_is_0(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Agent("trap 'echo agent asked; exit 0' TERM; echo agent ready; while :; do sleep 0.05; done");
        await container.StartAsync();
        await container.SeeAsync("agent ready");
        await container.SendAsync("TERM");
        Assert.Equal(0, await container.EndAsync());
        var log = await container.OutputAsync();
        Assert.Contains("SIGTERM received, stopping", log, StringComparison.Ordinal);
        Assert.True(log.IndexOf("agent-api stopped", StringComparison.Ordinal) < log.IndexOf("proxy stopped", StringComparison.Ordinal), log);
        Assert.Contains("stopped, exit code 0", log, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Who_ignores_TERM_is_killed_with_its_group_and_its_daemons_within_the_budget(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Environment["DISCOBOT_STOP_BUDGET"] = "3";
        container.Agent("trap '' TERM; (setsid sh -c \"trap '' TERM; sleep 1000\" &); sleep 1000 & sleep 0.2; echo agent ready; while :; do wait; done");
        await container.StartAsync();
        await container.SeeAsync("agent ready");
        var watch = Stopwatch.StartNew();
        await container.SendAsync("TERM");
        Assert.Equal(137, await container.EndAsync());
        var log = await container.OutputAsync();
        // By its own clock; the engine's word on it takes longer on a busy machine.
        Assert.Matches(@"\n.*\[2\.[0-9]{3}s\] stopped, exit code 137\n", log);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(6), $"{watch.Elapsed}\n{log}");
        Assert.Contains("processes left: ", log, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Other_signals_reach_the_agent(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Agent("for s in HUP USR1 WINCH; do trap \"echo got $s\" $s; done; trap 'echo got USR2; exit 5' USR2; echo agent ready; while :; do sleep 0.05; done");
        await container.StartAsync();
        await container.SeeAsync("agent ready");
        foreach (var signal in new[] { "HUP", "USR1", "WINCH", "USR2" })
        {
            await container.SendAsync(signal);
            await container.SeeAsync($"got {signal}");
        }

        Assert.Equal(5, await container.EndAsync());
    }

    /// <summary>While process 1 reaps a thousand orphans, it runs 40 programs of its own and the agent 60: each has another exit code.</summary>
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_thousand_orphans_are_reaped_and_no_exit_code_is_lost(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.Program("/tmp/hook", "#---\n# type: session\n#---\nsleep 0.01; exit ${0##*-}");
        container.Prepare("mkdir -p /.workspace/.discobot/hooks; for i in $(seq 1 40); do cp -p /tmp/hook /.workspace/.discobot/hooks/hook-$i; done");
        container.Agent("""
            for i in $(seq 1000); do (sleep 0.3 &); done
            for i in $(seq 60); do (exit $i); [ $? = $i ] || echo lost $i; done
            status=$HOME/.discobot/session-1/hooks/status.json
            for t in $(seq 300); do [ "$(grep -o lastExitCode $status 2>/dev/null | wc -l)" = 40 ] && break; sleep 0.1; done
            for i in $(seq 40); do grep -q "\"hook-$i\":{[^}]*\"lastExitCode\":$i," $status || echo lost hook $i; done
            for t in $(seq 50); do left=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); busy=$(grep -l '^Name:.sleep' /proc/[0-9]*/status 2>/dev/null | wc -l); [ "$left$busy" = 00 ] && break; sleep 0.2; done
            echo zombies $left; exit 42
            """);
        Assert.Equal(42, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("zombies 0\n", log, StringComparison.Ordinal);
        Assert.DoesNotContain("lost", log, StringComparison.Ordinal);
    }

    /// <summary>proc(5), stat: the fifth field is the process group, the eighth the one that may read from the terminal.</summary>
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task With_a_terminal_the_agent_has_it_and_without_one_nothing_is_missing(Distro distro)
    {
        const string Agent = "[ -t 0 ] && echo terminal || echo none; set -- $(cat /proc/$$/stat); echo group $5 foreground $8; exit 0";
        await using var plain = new SessionContainer(distro);
        plain.Agent(Agent);
        Assert.Equal(0, await plain.RunAsync());
        Assert.Contains("\nnone\n", await plain.OutputAsync(), StringComparison.Ordinal);

        await using var terminal = new SessionContainer(distro) { Terminal = true };
        terminal.Agent(Agent + "\n");
        Assert.Equal(0, await terminal.RunAsync());
        var log = await terminal.OutputAsync();
        Assert.Contains("\nterminal\n", log, StringComparison.Ordinal);
        Assert.Matches("\ngroup ([0-9]+) foreground \\1\n", log);
    }
}
