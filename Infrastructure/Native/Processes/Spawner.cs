using System.Collections.Concurrent;
using System.Diagnostics;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>
/// Starts programs, all from one thread that lives as long as we do: a parent-death signal is sent when the *thread* that started
/// the child ends (prctl(2), PR_SET_PDEATHSIG), and threads of the pool come and go. Each program is our own executable first, which
/// makes the system calls that <see cref="ProcessStartInfo"/> cannot and then becomes the program. The .NET runtime waits for
/// children and reaps orphans; nothing else here may wait.
/// </summary>
/// <param name="executable">Our own executable.</param>
internal sealed class Spawner(string executable = Spawner.OwnExecutable) : IDisposable
{
    /// <summary>It is found even when the file was replaced.</summary>
    public const string OwnExecutable = "/proc/self/exe";

    private readonly BlockingCollection<Action> _work = [];
    private readonly Lock _starting = new();
    private Thread? _thread;

    /// <summary>Starts a program.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">Our executable cannot be started. A program that cannot be executed shows as
    /// exit code 127 (not found) or 126.</exception>
    public async Task<ChildProcess> StartAsync(Launch launch)
    {
        EnsureThread();
        var started = new TaskCompletionSource<ChildProcess>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(() => Start(launch, started));
        // No limit: it takes until our own executable runs.
        return await started.Task;
    }

    public void Dispose() => _work.CompleteAdding();

    private void EnsureThread()
    {
        lock (_starting)
        {
            if (_thread is not null)
                return;
            _thread = new Thread(Run) { IsBackground = true, Name = "spawner" };
            _thread.Start();
        }
    }

    private void Run()
    {
        foreach (var action in _work.GetConsumingEnumerable())
            action();
    }

    private void Start(Launch launch, TaskCompletionSource<ChildProcess> started)
    {
        try
        {
            var process = Process.Start(StartInfo(launch)) ?? throw new InvalidOperationException($"no process for {launch.Name}");
            if (launch.Capture)
                process.StandardInput.Close();
            started.SetResult(new ChildProcess(launch.Name, process));
        }
        catch (Exception error)
        {
            // For whoever asked: this thread has to live on.
            started.SetException(error);
        }
    }

    private ProcessStartInfo StartInfo(Launch launch)
    {
        var info = new ProcessStartInfo(executable, launch.ExecArguments())
        {
            WorkingDirectory = "/",
            RedirectStandardInput = launch.Capture,
            RedirectStandardOutput = launch.Capture,
            RedirectStandardError = launch.Capture,
        };
        if (launch.Environment is { } environment)
        {
            info.Environment.Clear();
            foreach (var (name, value) in Carried(environment))
                info.Environment[name] = value;
        }

        return info;
    }

    // What .NET cannot pass on goes under names of ours, escaped, and our executable puts it right before it becomes the program.
    private static IEnumerable<KeyValuePair<string, string>> Carried(IReadOnlyDictionary<string, string> environment)
    {
        var carried = 0;
        foreach (var (name, value) in environment)
        {
            yield return ByteText.IsText(name) && ByteText.IsText(value)
                ? new(name, value)
                : new($"{ProgramReplacement.CarriedVariable}{carried++}", ByteText.Escape($"{name}={value}"));
        }
    }
}
