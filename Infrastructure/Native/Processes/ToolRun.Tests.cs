using System.Diagnostics;

namespace Discobot.Infrastructure.Native.Processes;

public sealed class ToolRunTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);
    private readonly Spawner _spawner = new(Path.Combine(AppContext.BaseDirectory, "discobot"));
    private readonly List<string> _lines = [];

    public void Dispose() => _spawner.Dispose();

    [Fact]
    public async Task Each_line_arrives_once_however_it_was_written_and_however_long_it_is()
    {
        var result = await RunAsync("printf a; sleep 0.2; printf 'b\\n\\nc'; sleep 0.2; echo d; head -c 65536 /dev/zero | tr '\\0' x; echo; head -c 200000 /dev/zero | tr '\\0' y; echo end; printf last", Long);
        Assert.True(result.Succeeded);
        Assert.Equal(["ab", "", "cd", new string('x', 65536)], _lines.Take(4));
        Assert.Equal([65536, 65536, 65536, 3395, 4], _lines.Skip(4).Select(l => l.Length));
        Assert.Equal(new string('y', 200000) + "endlast", string.Concat(_lines.Skip(4)));
    }

    [Theory]
    [InlineData("exit 3", 3)]
    [InlineData("kill -SEGV $$", 139)]
    [InlineData("exec /no/such/program", 127)]
    public async Task The_exit_code_is_the_programs(string script, int code) => Assert.Equal(code, (await RunAsync(script, Long)).ExitCode);

    [Fact]
    public async Task When_the_time_is_over_nobody_it_started_is_left_though_they_ignore_TERM_or_left_its_group()
    {
        const string Script = "trap '' TERM; sleep 1000 & echo $!; setsid sleep 1000 & echo $!; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done'";
        // As long as this machine takes to start all of them.
        for (var limit = TimeSpan.FromSeconds(2); _lines.Count < 3; limit *= 2)
        {
            await GoneAsync(_lines);
            _lines.Clear();
            var watch = Stopwatch.StartNew();
            Assert.True((await RunAsync(Script, limit)).TimedOut);
            Assert.InRange(watch.Elapsed, limit / 2, TimeSpan.FromSeconds(900));
            Assert.True(limit < TimeSpan.FromMinutes(10), string.Join('\n', _lines));
        }

        Assert.Equal(3, _lines.Count);
        await GoneAsync(_lines);
    }

    [Fact]
    public async Task Whoever_keeps_the_output_open_after_the_end_does_not_hold_it_up()
    {
        var watch = Stopwatch.StartNew();
        Assert.True((await RunAsync("sleep 1000 & echo $!", Long)).Succeeded);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}");
        await GoneAsync(_lines);
    }

    [Fact]
    public async Task What_is_written_after_the_end_is_no_longer_handed_on_and_stops_nobody()
    {
        // In a session of its own, as daemons are, and writing more than a pipe holds.
        var marker = Path.GetTempFileName();
        await RunAsync($"setsid sh -c 'sleep 3; head -c 300000 /dev/zero | tr \"\\0\" z; echo done > {marker}' & echo started", Long);
        Assert.Equal(["started"], _lines);
        for (var i = 0; i < 200 && new FileInfo(marker).Length == 0; i++)
            await Task.Delay(50);
        Assert.Equal("done\n", await File.ReadAllTextAsync(marker));
        Assert.Equal(["started"], _lines);
        File.Delete(marker);
    }

    [Fact]
    public async Task A_stop_ends_it_and_throws()
    {
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => RunAsync("echo $$; exec sleep 1000", Long, stop.Token));
        await GoneAsync(_lines);
    }

    private Task<ToolResult> RunAsync(string script, TimeSpan limit, CancellationToken cancellationToken = default)
        => new ToolRun(_spawner).RunAsync(new Launch("tool", ["/bin/sh", "-c", script]), limit, _lines.Add, cancellationToken);

    private static async Task GoneAsync(IEnumerable<string> processes)
    {
        foreach (var process in processes.Select(int.Parse))
        {
            for (var i = 0; i < 100 && ProcessTree.Read().Running.Contains(process); i++)
                await Task.Delay(50);
            Assert.DoesNotContain(process, ProcessTree.Read().Running);
        }
    }
}
