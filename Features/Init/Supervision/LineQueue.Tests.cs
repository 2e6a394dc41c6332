using System.Diagnostics;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Supervision;

/// <summary>The log of process 1, to whoever does not read it.</summary>
public sealed class LineQueueTests : IDisposable
{
    private readonly Enclosure _inside = new();

    public LineQueueTests() => _inside.Prepare("rm $1/opt/discobot/bin/proxy");

    public void Dispose() => _inside.Dispose();

    /// <summary>A hook that writes more than the queue holds; the pipe is read only when it has ended, and every line is there or counted.</summary>
    [Fact]
    public void Lines_that_nobody_reads_are_dropped_and_counted_and_hold_nobody_up()
    {
        var (read, write) = Pipe();
        using var lines = new LineQueue(capacity: 100_000);
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < 50_000; i++)
            lines.Add(write, $"line {i}");
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}");
        using var reader = new StreamReader(new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(read, true), FileAccess.Read));
        var seen = 0;
        var dropped = 0;

        // The count is in its place, before the line that is the next to be taken.
        for (string? line; (line = Line(reader)) != "last";)
        {
            if (line.Contains("were dropped: nobody read them", StringComparison.Ordinal))
                dropped += int.Parse(line.Split("warning: ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
            else
                Assert.Equal($"line {seen++ + dropped}", line);
            // So much is written by then that there is room again, whatever the pipe holds: what were dropped would never come.
            if (seen == 8000)
                lines.Add(write, "last");
        }

        Assert.Equal(50_000, seen + dropped);
        Assert.True(dropped > 10_000, $"{dropped}");
    }

    [Theory]
    [InlineData("a pipe nobody reads", "mkfifo /tmp/log; sleep 1000 < /tmp/log & exec \"$@\" > /tmp/log 2>&1")]
    [InlineData("a pipe whose reader is gone", "mkfifo /tmp/log; head -c 1 < /tmp/log & exec \"$@\" > /tmp/log 2>&1")]
    [InlineData("a full device", "exec \"$@\" > /dev/full 2>&1")]
    [InlineData("nothing", "exec \"$@\" >&- 2>&-")]
    public async Task The_start_and_the_stop_go_on_whatever_the_log_is(string what, string how)
    {
        _inside.Under = ["sh", "-c", how, "sh"];
        _inside.Prepare("mkdir -p $2/discobot/workspace/.discobot/hooks");
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/h", "#---\n# type: session\n# blocking: true\n#---\nseq 30000");
        _inside.Agent("exec 2> /dev/null; trap 'exit 0' TERM; echo up > /tmp/up; while :; do sleep 0.05; done");
        await _inside.StartAsync();
        await Eventually.TrueAsync(() => Task.FromResult(File.Exists(_inside.At("/tmp/up"))));
        await _inside.SendAsync("TERM");
        var code = await _inside.EndAsync();
        Assert.True(code == 0, $"{code} with {what}\n{_inside.Output}");
    }

    [Fact]
    public async Task A_terminal_that_stops_whoever_writes_in_the_background_stops_neither_the_start_nor_its_lines()
    {
        _inside.Terminal = true;
        _inside.Agent("stty tostop; kill -USR1 1; sleep 0.5; exit 3");
        Assert.True(await _inside.RunAsync() == 3, _inside.Output);
        Assert.Contains("agent-api ended with exit code 3, stopping", _inside.Output, StringComparison.Ordinal);
    }

    private static string Line(StreamReader reader) => reader.ReadLine() ?? throw new EndOfStreamException();

    private static (int Read, int Write) Pipe()
    {
        var ends = new int[2];
        Assert.Equal(0, LibcPipe(ends));
        return (ends[0], ends[1]);
    }

    [System.Runtime.InteropServices.DllImport("libc", EntryPoint = "pipe")]
    private static extern int LibcPipe(int[] ends);
}
