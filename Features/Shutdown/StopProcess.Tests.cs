using System.Diagnostics;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Shutdown;

/// <summary>The stop of the whole init as process 1, in namespaces.</summary>
public sealed class StopProcessTests : IDisposable
{
    private const string Patient = "trap 'exit 0' TERM; echo agent ready; while :; do sleep 0.05; done";
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task The_agent_ends_first_then_the_proxy_and_a_clean_stop_is_0()
    {
        _inside.Agent(Patient);
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        await _inside.SendAsync("TERM");
        Assert.True(await _inside.EndAsync() == 0, _inside.Output);
        var at = new[] { "SIGTERM received, stopping", "agent-api stopped, exit code 0", "] proxy stopped, exit code 0", "] stopped, exit code 0" }
            .Select(text => _inside.Output.IndexOf(text, StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), _inside.Output);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("QUIT")]
    public async Task An_agent_that_the_stop_ends_gives_128_and_the_number_of_TERM(string signal)
    {
        NoProxy();
        _inside.Agent("echo agent ready; sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        await _inside.SendAsync(signal);
        Assert.True(await _inside.EndAsync() == 143, _inside.Output);
    }

    [Fact]
    public async Task Whoever_ignores_TERM_is_killed_with_its_group_and_what_left_it_within_the_budget()
    {
        NoProxy();
        _inside.Environment["DISCOBOT_STOP_BUDGET"] = "3";
        _inside.Agent("trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & sleep 1000 & sleep 0.2; echo agent ready; while :; do wait; done");
        var took = await StopWhenReadyAsync(137);
        // By its own clock, since a busy machine tells of the end late; a budget that began anew for what was left would take twice as long.
        Assert.Matches(@"\[2\.[0-9]{3}s\] stopped, exit code 137", _inside.Output);
        Assert.True(took < TimeSpan.FromSeconds(6), $"{took}\n{_inside.Output}");
        Assert.Contains("processes left", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_forced_kill_is_never_a_0()
    {
        NoProxy();
        _inside.Environment["DISCOBOT_STOP_BUDGET"] = "3";
        _inside.Agent("setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' & sleep 0.2; " + Patient);
        await StopWhenReadyAsync(137);
        Assert.Contains("agent-api stopped, exit code 0", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("processes left that did not end, killing them", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>The hook gets TERM and a second. What else ignores TERM may take what that leaves of six seconds, and no more: seven would be one too many.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_budget_counts_from_the_signal_though_a_hook_does_not_want_to_end(bool blocking)
    {
        NoProxy();
        _inside.Environment["DISCOBOT_STOP_BUDGET"] = "6";
        _inside.Program("/usr/local/bin/dockerd", "trap '' TERM\n" + Init.Docker.DockerDaemonTests.Daemon);
        _inside.Prepare("mkdir -p $2/discobot/workspace/.discobot/hooks");
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/h",
            $"#---\n# type: session\n# blocking: {(blocking ? "true" : "false")}\n#---\ntrap '' TERM; echo hook runs; while :; do sleep 0.1; done");
        _inside.Agent("trap '' TERM; while :; do sleep 0.1; done");
        await _inside.StartAsync();
        await _inside.SeeAsync("hook runs");
        if (!blocking)
            await _inside.SeeAsync("startup completed");
        var watch = Stopwatch.StartNew();
        await _inside.SendAsync("TERM");
        await _inside.EndAsync();
        Assert.Contains("Docker daemon (pid=", _inside.Output, StringComparison.Ordinal);
        Assert.True(System.Text.RegularExpressions.Regex.IsMatch(_inside.Output, @"\[([45]\.[0-9]|6\.[0-4])[0-9]{2}s\] stopped, exit code"), _inside.Output);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(12), $"{watch.Elapsed}\n{_inside.Output}");
    }

    [Fact]
    public async Task A_stop_during_a_clone_ends_it_and_is_clean()
    {
        _inside.Program("/usr/local/bin/git", "echo git runs; exec sleep 1000");
        _inside.Environment["WORKSPACE_PATH"] = "https://git.example/a.git";
        await _inside.StartAsync();
        await _inside.SeeAsync("git runs");
        await _inside.SendAsync("INT");
        Assert.True(await _inside.EndAsync() == 0, _inside.Output);
        Assert.Contains("startup interrupted\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("agent-api started", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_system_that_does_not_answer_holds_up_no_stop()
    {
        _inside.Before = "hung=hung; mkdir hung\n" + Enclosure.MountHung;
        _inside.Environment["WORKSPACE_PATH"] = "/hung";
        await _inside.StartAsync();
        await _inside.SeeAsync("network settings completed");
        await _inside.SeeHungAskedAsync();
        await _inside.SendAsync("TERM");
        Assert.True(await _inside.EndAsync() == 0, _inside.Output);
        Assert.Matches("warning: (git safe directories|workspace) does not end, and is left: ", _inside.Output);
        Assert.Contains("startup interrupted\n", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_is_heard_though_whoever_started_the_init_ignored_its_signal()
    {
        NoProxy();
        _inside.Under = ["sh", "-c", "trap '' TERM INT QUIT; exec \"$@\"", "sh"];
        _inside.Agent(Patient);
        await StopWhenReadyAsync(0);
    }

    [Fact]
    public async Task Other_signals_are_the_agents()
    {
        NoProxy();
        _inside.Agent("for s in HUP USR1 WINCH; do trap \"echo got $s\" $s; done; trap 'echo got USR2; exit 5' USR2; echo agent ready; while :; do sleep 0.05; done");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        foreach (var signal in new[] { Signal.Hangup, Signal.User1, Signal.WindowChanged, Signal.User2 })
        {
            await _inside.SendAsync(signal.Short());
            await _inside.SeeAsync($"got {signal.Short()}\n");
        }

        Assert.Equal(5, await _inside.EndAsync());
    }

    /// <summary>What is stopped, and what waits for a key, hears of TERM only when it goes on: the agent, its children, whoever left its group.</summary>
    [Theory]
    [InlineData("kill -STOP $$")]
    [InlineData("(trap 'echo child told; exit 0' TERM; echo child ready; while :; do sleep 0.05; done) & sleep 0.3; kill -STOP $!; while :; do sleep 0.05; done")]
    [InlineData("setsid sh -c 'trap \"echo other told; exit 0\" TERM; kill -STOP $$; while :; do sleep 0.05; done' & while :; do sleep 0.05; done")]
    public async Task Who_is_stopped_ends_in_order_too(string script)
    {
        NoProxy();
        _inside.Agent("trap 'sleep 0.5; echo agent told; exit 0' TERM; { sleep 0.5; echo agent ready; } & " + script + "; while :; do sleep 0.05; done");
        var took = await StopWhenReadyAsync(0);
        Assert.True(took < TimeSpan.FromSeconds(8), $"{took}\n{_inside.Output}");
        Assert.Contains("agent told\n", _inside.Output, StringComparison.Ordinal);
        foreach (var who in new[] { "child", "other" }.Where(w => script.Contains(w + " told", StringComparison.Ordinal)))
            Assert.Contains(who + " told\n", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>As images name them: systemd's, LXC's, any whose default is to end; the last two are the agent's unless the variable says so.</summary>
    [Theory]
    [InlineData("RTMIN+3", null)]
    [InlineData("RTMIN+15", null)]
    [InlineData("RTMAX", null)]
    [InlineData("PWR", null)]
    [InlineData("ALRM", null)]
    [InlineData("USR1", "USR1")]
    [InlineData("WINCH", "SIGWINCH")]
    public async Task Whatever_the_images_stop_signal_is_the_stop_is_in_order(string signal, string? named)
    {
        NoProxy();
        if (named is not null)
            _inside.Environment["DISCOBOT_STOP_SIGNAL"] = named;
        _inside.Agent(Patient);
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        await _inside.SendAsync(signal);
        Assert.True(await _inside.EndAsync() == 0, _inside.Output);
        Assert.Contains("agent-api stopped, exit code 0", _inside.Output, StringComparison.Ordinal);
    }

    private void NoProxy() => _inside.Prepare("rm $1/opt/discobot/bin/proxy");

    private async Task<TimeSpan> StopWhenReadyAsync(int code)
    {
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        var watch = Stopwatch.StartNew();
        await _inside.SendAsync("TERM");
        Assert.True(await _inside.EndAsync() == code, _inside.Output);
        return watch.Elapsed;
    }
}
