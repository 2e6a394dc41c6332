namespace Discobot.Infrastructure.Native;

/// <summary>How a tool ended.</summary>
/// <param name="ExitCode">Its exit code, 128 + n after signal n.</param>
/// <param name="TimedOut">Whether it was killed because its time was over.</param>
internal readonly record struct ToolResult(int ExitCode, bool TimedOut)
{
    public bool Succeeded => ExitCode == 0 && !TimedOut;
}

/// <summary>Runs a program to its end, with a time limit, and hands its output on line by line.</summary>
/// <param name="spawner">Starts it.</param>
internal sealed class ToolRun(Spawner spawner)
{
    private const int LongestLine = 64 * 1024;
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
        var output = Task.WhenAll(ReadAsync(child.Output, line), ReadAsync(child.Errors, line));
        var ended = await EndsWithinAsync(child.Exited, limit, cancellationToken);
        if (!ended)
        {
            child.SendToGroup(Signal.Terminate);
            await EndsWithinAsync(child.Exited, Grace, CancellationToken.None);
        }

        // What it left in the background may hold the pipes open: it gets a moment, then it ends as well.
        if (!ended || !await EndsWithinAsync(output, Grace, CancellationToken.None))
            child.SendToGroup(Signal.Kill);
        var code = await child.Exited;
        await EndsWithinAsync(output, Grace, CancellationToken.None);
        cancellationToken.ThrowIfCancellationRequested();
        return new ToolResult(code, !ended);
    }

    private static async Task<bool> EndsWithinAsync(Task task, TimeSpan limit, CancellationToken cancellationToken)
        => await Task.WhenAny(task, Task.Delay(limit, cancellationToken)) == task;

    private static async Task ReadAsync(StreamReader reader, Action<string> line)
    {
        var buffer = new char[4096];
        var text = new System.Text.StringBuilder();
        for (int read; (read = await reader.ReadAsync(buffer)) > 0;)
        {
            foreach (var c in buffer.AsSpan(0, read))
            {
                if (c != '\n' && text.Length < LongestLine)
                    text.Append(c);
                if (c != '\n' && text.Length < LongestLine)
                    continue;
                Emit(text, line);
            }
        }

        if (text.Length > 0)
            Emit(text, line);
    }

    private static void Emit(System.Text.StringBuilder text, Action<string> line)
    {
        var complete = text.ToString().TrimEnd('\r');
        text.Clear();
        lock (line)
            line(complete);
    }
}
