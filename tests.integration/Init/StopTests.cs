using System.Diagnostics;

namespace Discobot.Integration.Init;

public sealed class StopTests : IDisposable
{
    private readonly InitContainer _container = new();

    public void Dispose() => _container.Dispose();

    [Fact]
    public async Task The_agent_ends_before_the_proxy_and_a_clean_stop_is_0()
    {
        _container.Agent("trap 'echo agent asked; exit 0' TERM; echo running; while :; do sleep 0.05; done");
        _container.Start();
        await _container.SeeAsync("running");
        await _container.SeeAsync("startup completed");
        _container.Send("TERM");
        Assert.Equal(0, await _container.EndAsync());
        var log = _container.Output;
        Assert.Contains("SIGTERM received, stopping", log, StringComparison.Ordinal);
        Assert.True(log.IndexOf("agent-api stopped", StringComparison.Ordinal) < log.IndexOf("proxy stopped", StringComparison.Ordinal), log);
        Assert.Contains("stopped, exit code 0", log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_ignores_TERM_is_killed_with_its_group_and_its_daemons_within_the_budget()
    {
        _container.Environment["DISCOBOT_STOP_BUDGET"] = "3";
        _container.Agent("trap '' TERM; (setsid bash -c \"trap '' TERM; sleep 1000\" &); sleep 1000 & echo running; while :; do wait; done");
        _container.Start();
        await _container.SeeAsync("running");
        await _container.SeeAsync("startup completed");
        var watch = Stopwatch.StartNew();
        _container.Send("TERM");
        Assert.Equal(137, await _container.EndAsync());
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(3.5), $"{watch.Elapsed}\n{_container.Output}");
        Assert.Contains("processes left, ending them", _container.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    [InlineData("QUIT")]
    public async Task A_stop_during_the_start_is_orderly_too(string signal)
    {
        _container.Program("opt/discobot/bin/proxy", "echo proxy up; exec sleep 1000");
        _container.Start();
        await _container.SeeAsync("proxy up");
        var watch = Stopwatch.StartNew();
        _container.Send(signal);
        Assert.Equal(0, await _container.EndAsync());
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}\n{_container.Output}");
        Assert.DoesNotContain("agent-api started", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Other_signals_reach_the_agent()
    {
        _container.Agent("trap 'echo got HUP' HUP; trap 'echo got USR1' USR1; trap 'echo got WINCH' WINCH; trap 'echo got USR2; exit 5' USR2\n"
            + "echo running; while :; do sleep 0.05; done");
        _container.Start();
        await _container.SeeAsync("running");
        await _container.SeeAsync("startup completed");
        foreach (var signal in new[] { "HUP", "USR1", "WINCH", "USR2" })
        {
            _container.Send(signal);
            await _container.SeeAsync($"got {signal}");
        }

        Assert.Equal(5, await _container.EndAsync());
    }

    [Fact]
    public async Task A_thousand_orphans_are_reaped_and_no_exit_code_is_lost()
    {
        _container.Agent("""
            for i in $(seq 1000); do (sleep 0.3 &); done
            for i in $(seq 60); do (exit $i); [ $? = $i ] || echo lost $i; done
            for t in $(seq 50); do left=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); busy=$(pgrep -c sleep); [ "$left$busy" = 00 ] && break; sleep 0.2; done
            echo zombies $left; exit 42
            """);
        Assert.Equal(42, await _container.RunAsync());
        Assert.Contains("zombies 0", _container.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("lost", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_killed_agent_is_128_plus_the_signal()
    {
        _container.Agent("kill -SEGV $$");
        Assert.Equal(139, await _container.RunAsync());
    }
}
