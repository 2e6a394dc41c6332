using System.Diagnostics;
using System.Text;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>A program that was started and leads its own process group.</summary>
internal sealed class ChildProcess
{
    private static readonly TimeSpan KillLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(5);
    private readonly Process _process;

    internal ChildProcess(string name, Process process)
    {
        (Name, _process) = (name, process);
        Id = process.Id;
        Exited = WaitAsync();
    }

    public string Name { get; }

    /// <summary>The process id; also that of its group, and kept when our executable became the program.</summary>
    public int Id { get; }

    /// <summary>Ends with the program: its exit code, or 128 + n when signal n ended it.</summary>
    public Task<int> Exited { get; }

    /// <summary>What a captured program writes. Only with <see cref="Launch.Capture"/>.</summary>
    public StreamReader Output => field ??= Plain(_process.StandardOutput);

    /// <summary>What a captured program writes to standard error. Only with <see cref="Launch.Capture"/>.</summary>
    public StreamReader Errors => field ??= Plain(_process.StandardError);

    // .NET's own reader takes the first bytes of a program for the mark of an encoding.
    private static StreamReader Plain(StreamReader reader) => new(reader.BaseStream, new UTF8Encoding(false), detectEncodingFromByteOrderMarks: false);

    /// <summary>Sends a signal to the program alone; nothing happens once it has ended.</summary>
    public void Send(Signal signal)
    {
        if (!Exited.IsCompleted)
            _ = Libc.Kill(Id, (int)signal);
    }

    /// <summary>Sends a signal to the program and all it started that stayed in its group, even after it has ended itself.</summary>
    public void SendToGroup(Signal signal)
    {
        // Before the child has made its group there is none of that number: then it is the child alone.
        if (Libc.Kill(-Id, (int)signal) != 0)
            Send(signal);
    }

    /// <summary>Whether somebody is in its group, though it may have ended itself.</summary>
    public bool HasGroup => Libc.Kill(-Id, 0) == 0;

    /// <summary>Asks the program and its group to end. Whoever is stopped (Ctrl-Z, a debugger) hears of that only when it goes on.</summary>
    public void AskToEnd()
    {
        SendToGroup(Signal.Terminate);
        SendToGroup(Signal.Continue);
    }

    /// <summary>Kills what is left of the group and waits until nobody of it is there, at most two seconds: longer it takes only where the
    /// kernel does not let somebody go, as with a file system that does not answer.</summary>
    /// <returns>The exit code; null when the program is still there.</returns>
    public async Task<int?> KillAsync()
    {
        SendToGroup(Signal.Kill);
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < KillLimit && !(Exited.IsCompleted && !HasGroup);)
            await Task.WhenAny(Exited.IsCompleted ? Task.Delay(Poll) : Exited, Task.Delay(KillLimit));
        return Exited.IsCompleted ? await Exited : null;
    }

    private async Task<int> WaitAsync()
    {
        // No limit: a program may run as long as the container. Who waits for its end limits that.
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }
}
