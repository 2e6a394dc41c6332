using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>Children, and children of children, of the whole init in namespaces.</summary>
public sealed class OrphansTests : IDisposable
{
    private static readonly string[] SomebodyElse = ["sh", "-c", "\"$@\"; exit $?", "process-1"];

    // Forty programs of the init's own, sixty of the agent's, three hundred that nobody waits for.
    private const string Busy = """
        echo process $PPID; for i in $(seq 300); do (sleep 0.3 &); done
        for i in $(seq 60); do (exit $i); [ $? = $i ] || echo lost $i; done
        status=$HOME/.discobot/s1/hooks/status.json
        for t in $(seq 300); do [ "$(grep -o lastExitCode $status 2>/dev/null | wc -l)" = 40 ] && break; sleep 0.1; done
        for i in $(seq 40); do grep -q "\"hook-$i\":{[^}]*\"lastExitCode\":$i," $status || echo lost hook $i; done
        for t in $(seq 50); do left=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); [ $left = 0 ] && break; sleep 0.2; done
        echo zombies $left; exit 42
        """;

    private readonly Enclosure _inside = new();

    public OrphansTests() => _inside.Prepare("rm $1/opt/discobot/bin/proxy; mkdir -p $2/discobot/workspace/.discobot/hooks");

    public void Dispose() => _inside.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Orphans_are_reaped_and_no_exit_code_is_lost_whether_it_is_process_1_or_not(bool first)
    {
        _inside.Under = first ? [] : SomebodyElse;
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/hook-1", "#---\n# type: session\n#---\nsleep 0.01; exit ${0##*-}");
        _inside.Prepare("cd $2/discobot/workspace/.discobot/hooks; for i in $(seq 2 40); do cp -p hook-1 hook-$i; done");
        _inside.Agent(Busy);
        Assert.True(await _inside.RunAsync() == 42, _inside.Output);
        Assert.Contains("zombies 0\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("lost", _inside.Output, StringComparison.Ordinal);
        Assert.Equal(first, _inside.Output.Contains("process 1\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task When_the_init_is_killed_its_children_are_told_by_the_kernel()
    {
        _inside.Under = ["sh", "-c", "\"$@\"; sleep 2", "process-1"];
        _inside.Agent("trap 'echo agent told; exit 0' TERM; echo agent ready; while :; do sleep 0.05; done");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");

        // By time: long after it was started; a thread that came and went would have told it already.
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.DoesNotContain("agent told", _inside.Output, StringComparison.Ordinal);
        _inside.Send(Signal.Kill, generation: 1);
        await _inside.SeeAsync("agent told");
    }
}
