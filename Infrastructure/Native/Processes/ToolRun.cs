using System.Diagnostics;
using System.Text;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>How a tool ended.</summary>
/// <param name="ExitCode">Its exit code, 128 + n after signal n.</param>
/// <param name="TimedOut">Whether it was killed because its time was over.</param>
internal readonly record struct ToolResult(int ExitCode, bool TimedOut)
{
    /// <summary>Whether something it started goes on and may still write lines.</summary>
    public bool LeftBackground { get; init; }

    public bool Succeeded => ExitCode == 0 && !TimedOut;
}

/// <summary>Runs a program to its end, with a time limit, and hands its output on line by line.</summary>
/// <param name="spawner">Starts it.</param>
internal sealed class ToolRun(Spawner spawner)
{
    private const int LongestLine = 64 * 1024;
    private const int Killed = 128 + (int)Signal.Kill;
    private const int PipesHold = 2 * 64 * 1024; // pipe(7), for each
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ReadLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    /// <summary>Runs it. When the time is over or the caller gives up, its whole process group gets TERM and a second later KILL.</summary>
    /// <param name="launch">What to run; its output is captured.</param>
    /// <param name="limit">The longest it may take.</param>
    /// <param name="line">Called for each line of either output, one call at a time. Lines above 64 KiB arrive in pieces.</param>
    /// <param name="cancellationToken">Ends the program and throws.</param>
    public async Task<ToolResult> RunAsync(Launch launch, TimeSpan limit, Action<string> line, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var child = await spawner.StartAsync(launch with { Capture = true, Foreground = false });
        var lines = new Lines(line);
        var output = Task.WhenAll(lines.ReadAsync(child.Output), lines.ReadAsync(child.Errors));
        var ended = await EndsWithinAsync(child.Exited, limit, cancellationToken);
        if (!ended)
            await EndAsync(child);

        // What it left in the background may hold the pipes open: it gets a moment, then it ends as well, unless it is to stay.
        var read = await IsReadAsync(output, lines);
        var mayStay = ended && launch.LeavesBackground;
        var stays = mayStay && (!read || child.HasGroup);
        var code = mayStay ? await child.Exited : await child.KillAsync() ?? Killed;
        if (!mayStay)
        {
            await EndsWithinAsync(output, Grace, CancellationToken.None);
            lines.Close();
        }

        cancellationToken.ThrowIfCancellationRequested();
        return new ToolResult(code, !ended) { LeftBackground = stays };
    }

    // Its last words are in the pipes, which hold no more than that; whoever it left may go on filling them.
    private static async Task<bool> IsReadAsync(Task output, Lines lines)
    {
        var (start, clock) = (lines.Taken, Stopwatch.StartNew());
        for (long before = -1; before != lines.Taken && lines.Taken - start < PipesHold && clock.Elapsed < ReadLimit;)
        {
            before = lines.Taken;
            if (await EndsWithinAsync(output, Quiet, CancellationToken.None))
                return true;
        }

        return false;
    }

    // Who left the group still descends from it now; once it has ended, nobody could tell any more.
    private static async Task EndAsync(ChildProcess child)
    {
        var family = ProcessTree.Read().DescendantsOf(child.Id).ToList();
        SendToAll(child, family, Signal.Terminate);
        SendToAll(child, family, Signal.Continue);
        await EndsWithinAsync(child.Exited, Grace, CancellationToken.None);
        SendToAll(child, family, Signal.Kill);
    }

    private static void SendToAll(ChildProcess child, List<int> family, Signal signal)
    {
        child.SendToGroup(signal);
        family.ForEach(id => _ = Libc.Kill(id, (int)signal));
    }

    private static async Task<bool> EndsWithinAsync(Task task, TimeSpan limit, CancellationToken cancellationToken)
        => await Task.WhenAny(task, Task.Delay(limit, cancellationToken)) == task;

    /// <summary>Cuts what is read into lines. After the end it is read all the same, or whoever still holds the pipe would stand still.</summary>
    private sealed class Lines(Action<string> line)
    {
        private readonly Lock _one = new();
        private bool _closed;
        private long _taken;

        /// <summary>How many characters were read.</summary>
        public long Taken => Interlocked.Read(ref _taken);

        public void Close()
        {
            lock (_one)
                _closed = true;
        }

        public async Task ReadAsync(StreamReader reader)
        {
            var buffer = new char[4096];
            var text = new StringBuilder();
            var goesOn = false;
            for (int read; (read = await reader.ReadAsync(buffer)) > 0;)
            {
                Interlocked.Add(ref _taken, read);
                foreach (var c in buffer.AsSpan(0, read))
                    goesOn = Take(text, c, goesOn);
            }

            if (text.Length > 0)
                Emit(text);
        }

        // True when the line was cut and may go on.
        private bool Take(StringBuilder text, char c, bool goesOn)
        {
            if (c != '\n')
                text.Append(c);
            var full = text.Length == LongestLine;
            if (full || (c == '\n' && (text.Length > 0 || !goesOn)))
                Emit(text);
            return full || (goesOn && c != '\n');
        }

        private void Emit(StringBuilder text)
        {
            var complete = text.ToString().TrimEnd('\r');
            text.Clear();
            lock (_one)
            {
                if (!_closed)
                    line(complete);
            }
        }
    }
}
