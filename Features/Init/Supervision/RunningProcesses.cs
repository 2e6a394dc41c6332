using System.Collections.Concurrent;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>The long-running programs of the container, as they are now, and the watch over those that are started again.</summary>
internal sealed class RunningProcesses : IDisposable
{
    private const int Patience = 6;
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(3);
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentBag<Task> _watches = [];
    private readonly List<IDisposable> _held = [];

    public ChildProcess? AgentApi { get; set; }

    public ChildProcess? Proxy { get; set; }

    public ChildProcess? Docker { get; set; }

    /// <summary>Where Docker's clients find it, as far as those are sockets with a path.</summary>
    public IReadOnlyList<string> DockerSockets { get; set; } = [];

    /// <summary>What stands before Docker's socket.</summary>
    public ChildProcess? DockerGuard { get; set; }

    /// <summary>Starts a program again whenever it ends: at once the first time, later and later after that, at most five times a minute.</summary>
    /// <param name="name">For the log.</param>
    /// <param name="child">As it runs now; null when it did not become ready, which counts as a try.</param>
    /// <param name="restart">Starts it; null as above.</param>
    /// <param name="log">Where each end is told.</param>
    public void Supervise(string name, ChildProcess? child, Func<CancellationToken, Task<ChildProcess?>> restart, InitLog log)
        => _watches.Add(WatchAsync(name, child, restart, log, new Backoff(TimeProvider.System)));

    /// <summary>Runs something beside everything else until it ends or the stop begins. Its failure is told and fails nothing else.</summary>
    /// <param name="name">For the log.</param>
    /// <param name="run">What is run.</param>
    /// <param name="log">Where its failure is told.</param>
    public void InBackground(string name, Func<CancellationToken, Task> run, InitLog log) => _watches.Add(UntilStopAsync(name, run, log));

    /// <summary>Keeps what lasts until the stop is over.</summary>
    public void Hold(IDisposable lease) => _held.Add(lease);

    /// <summary>Lets go of that: nothing that was started runs any more.</summary>
    public void Release() => _held.ForEach(lease => lease.Dispose());

    /// <summary>Ends the watch: nothing is started again after this.</summary>
    public async Task BeginStopAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAny(Task.WhenAll(_watches), Task.Delay(StopLimit));
    }

    public void Dispose() => _stopping.Dispose();

    private async Task UntilStopAsync(string name, Func<CancellationToken, Task> run, InitLog log)
    {
        try
        {
            await run(_stopping.Token);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Ended with the container.
        }
        catch (Exception error)
        {
            log.Error($"{name} failed: {error.Message}");
        }
    }

    private Task WatchAsync(string name, ChildProcess? child, Func<CancellationToken, Task<ChildProcess?>> restart, InitLog log, Backoff backoff)
        => UntilStopAsync(name, async stopping =>
        {
            if (child is null)
                backoff.Next();
            var failures = 0;
            for (var current = child; ;)
            {
                failures++;
                if (current is not null)
                {
                    failures = 0;
                    var code = await current.Exited.WaitAsync(stopping);
                    log.Error($"{name} (pid={current.Id}) ended unexpectedly with exit code {code}");
                }

                var delay = failures > Patience ? Rare(failures - Patience) : backoff.Next();
                if (delay > TimeSpan.Zero)
                    log.Info($"starting {name} again in {InitLog.Seconds(delay)}");
                await Task.Delay(delay, stopping);
                current = await TryAsync(name, restart, log, stopping);
            }
        }, log);

    // What has failed for a minute is wanting in what no try will change; yet a disk may be freed, or a port.
    private static TimeSpan Rare(int failures) => TimeSpan.FromMinutes(Math.Min(10, 1 << Math.Min(failures, 4)));

    // What fails now may work at the next try.
    private static async Task<ChildProcess?> TryAsync(
        string name, Func<CancellationToken, Task<ChildProcess?>> restart, InitLog log, CancellationToken stopping)
    {
        try
        {
            return await restart(stopping);
        }
        catch (Exception error) when (!stopping.IsCancellationRequested)
        {
            log.Error($"{name} could not be started again: {error.Message}");
            return null;
        }
    }
}

/// <summary>How long to wait before the next try: 0, 1, 2, 4, 8 s, and never more than five tries within a minute.</summary>
internal sealed class Backoff(TimeProvider time)
{
    private const int Tries = 5;
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);
    private readonly long _start = time.GetTimestamp();
    private readonly Queue<TimeSpan> _tries = new();

    /// <summary>Counts a try and says how long to wait before it.</summary>
    public TimeSpan Next()
    {
        // The wall clock may be set at any time, and is, when a machine wakes up.
        var now = time.GetElapsedTime(_start);
        while (_tries.TryPeek(out var oldest) && now - oldest >= Window)
            _tries.Dequeue();
        var delay = _tries.Count switch
        {
            0 => TimeSpan.Zero,
            < Tries => TimeSpan.FromSeconds(1 << (_tries.Count - 1)),
            _ => _tries.Dequeue() + Window - now,
        };
        _tries.Enqueue(now + delay);
        return delay;
    }
}
