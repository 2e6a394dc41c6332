using System.ComponentModel;
using System.Diagnostics;

namespace Discobot.Features.Init;

/// <summary>The order of the start-up.</summary>
internal static class Startup
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    // What a step does when it is cancelled takes less, but for a program that does not want to end.
    private static readonly TimeSpan LeaveLimit = TimeSpan.FromSeconds(3);

    public static IReadOnlyList<StartupStep> Steps(Container c)
    {
        var steps = new StepTable();
        var egress = new EgressRules(c);
        c.Running.Hold(egress);
        steps.Add("localhost name", OnFailure.Warn, [], new LocalhostName(c).RunAsync);
        steps.Add("network settings", OnFailure.Warn, [], stop =>
        {
            egress.TakeOver();
            return new NetworkSettings(c).RunAsync(stop);
        });
        steps.Add("git safe directories", OnFailure.Warn, [], new GitSafeDirectories(c).RunAsync);
        steps.Add("shell environment", OnFailure.Warn, [], new ShellProfile(c).RemoveAsync);
        var volume = steps.Add("data directories", OnFailure.Fatal, [], new DataDirectories(c).RunAsync);
        var home = steps.Add("base home", OnFailure.Fatal, [volume], new BaseHome(c).RunAsync);
        var workspace = steps.Add("workspace", OnFailure.Fatal, [home], new WorkspaceSetup(c).RunAsync);
        var filesystem = steps.Add("filesystem", OnFailure.Fatal, [home, workspace], new SessionFilesystem(c).RunAsync);
        steps.Add("cache mounts", OnFailure.Warn, [filesystem], new CacheMounts(c).RunAsync);
        steps.Add("workspace link", OnFailure.Fatal, [filesystem], new WorkspaceLink(c).RunAsync);
        var config = steps.Add("proxy config", OnFailure.Warn, [volume, filesystem],
            _ => new ProxyConfig(c).RunAsync(volume.Result), otherwise: () => new ConfigInForce(c.Paths.ProxyConfig, new ProxySummary()));
        steps.Add("egress rules", OnFailure.Fatal, [], _ => egress.CloseAsync(volume.Result, config.Result.Proxy));
        var trust = steps.Add("CA certificate and trust", OnFailure.Warn, [volume],
            stop => new CertificateTrust(c).RunAsync(volume.Result, config.Result.Proxy, stop), otherwise: () => new ClientTrust());
        var proxy = steps.Add("HTTP proxy", OnFailure.Warn, [config],
            stop => new ProxyDaemon(c, volume.Result, config.Result, trust.Result, egress).RunAsync(stop), otherwise: () => new ClientProxy(c, config.Result.Proxy, trust.Result));
        steps.Add("way out", OnFailure.Fatal, [], _ => new WayOut(c, egress).RunAsync(proxy.Result, config.Result.Proxy.Egress));
        steps.Add("Docker daemon", OnFailure.Warn, [volume], stop => new DockerDaemon(c, proxy.Result, egress).RunAsync(stop));
        steps.Add("session hooks", OnFailure.Warn, [filesystem], stop => new SessionHooks(c, proxy.Result, egress).RunAsync(stop));
        steps.Add("agent-api", OnFailure.Fatal, [filesystem], stop => new AgentApi(c, proxy.Result, egress).RunAsync(stop));
        return steps;
    }

    /// <summary>What the steps have left behind in a running container, in their order. Whether proxy, trust and Docker work is asked of those themselves.</summary>
    public static IEnumerable<Finding> Checks(SeenContainer seen) =>
    [
        LocalhostName.Check(seen),
        NetworkSettings.Check(seen),
        GitSafeDirectories.Check(seen),
        DataDirectories.Check(seen),
        BaseHome.Check(seen),
        WorkspaceSetup.Check(seen),
        SessionFilesystem.Check(seen),
        CacheMounts.Check(seen),
        WorkspaceLink.Check(seen),
        ProxyConfig.Check(seen),
        WayOut.CheckRules(seen),
        CertificateTrust.Check(seen),
        ProxyDaemon.Check(seen),
        WayOut.CheckEntry(seen),
        ShellProfile.Check(seen),
        DockerDaemon.Check(seen),
        .. SessionHooks.Check(seen),
        AgentApi.Check(seen),
    ];

    /// <summary>Runs the steps in order and says how long each took.</summary>
    /// <param name="steps">All of them.</param>
    /// <param name="log">Where it is said.</param>
    /// <param name="patience">After how long a step that goes on is told of, and again after twice that, and so on; 30 s when null.</param>
    /// <param name="cancellationToken">Asks for the stop.</param>
    /// <returns>False when a fatal step failed.</returns>
    /// <exception cref="OperationCanceledException">A stop was asked for.</exception>
    public static async Task<bool> RunAsync(IReadOnlyList<StartupStep> steps, InitLog log, TimeSpan? patience, CancellationToken cancellationToken)
    {
        var total = Stopwatch.StartNew();
        var failed = new HashSet<StartupStep>();
        foreach (var step in steps)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (await TryAsync(step, failed, log, patience ?? Patience, cancellationToken) is not { } failure)
                continue;
            failed.Add(step);
            if (failure == OnFailure.Fatal)
            {
                log.Ended(total.Elapsed, "startup", "failed");
                return false;
            }
        }

        log.Ended(total.Elapsed, "startup", "completed");
        return true;
    }

    // Null when it succeeded.
    private static async Task<OnFailure?> TryAsync(StartupStep step, HashSet<StartupStep> failed, InitLog log, TimeSpan patience, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            if (step.Needs.FirstOrDefault(failed.Contains) is { } missing)
                throw new StartupException($"it needs {missing.Name}");
            await WatchAsync(step, log, patience, cancellationToken);
            log.Ended(watch.Elapsed, step.Name, "completed");
            return null;
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            var text = error is StartupException or IOException or UnauthorizedAccessException or Win32Exception ? error.Message : error.ToString();
            var failure = error is StartupException { IsFatal: true } ? OnFailure.Fatal : step.OnFailure;
            Action<string> say = failure == OnFailure.Fatal ? log.Error : log.Warning;
            say($"{step.Name} failed: {text}");
            log.Ended(watch.Elapsed, step.Name, "failed");
            return failure;
        }
    }

    // What a program may take is limited where it is run. A call of the kernel's is not: a file system whose server is gone (NFS, FUSE) answers
    // when it likes. The step has a thread of its own, it is told what the start waits for, and the stop does not wait with it.
    private static async Task WatchAsync(StartupStep step, InitLog log, TimeSpan patience, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        var running = Task.Factory.StartNew(() => step.RunAsync(cancellationToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
        for (var told = patience; !await EndsWithinAsync(running, told - watch.Elapsed, cancellationToken); told *= 2)
        {
            if (cancellationToken.IsCancellationRequested)
                break;
            log.Info($"{step.Name} goes on after {InitLog.Seconds(watch.Elapsed)}");
        }

        if (!running.IsCompleted && !await EndsWithinAsync(running, LeaveLimit, CancellationToken.None))
        {
            log.Warning($"{step.Name} does not end, and is left: a program that ignores the stop, or a file system or device that does not answer");
            cancellationToken.ThrowIfCancellationRequested();
        }

        await running;
    }

    private static async Task<bool> EndsWithinAsync(Task task, TimeSpan limit, CancellationToken cancellationToken)
        => await Task.WhenAny(task, Task.Delay(limit > TimeSpan.Zero ? limit : TimeSpan.Zero, cancellationToken)) == task;

    private sealed class StepTable : List<StartupStep>
    {
        public StartupStep Add(string name, OnFailure onFailure, IReadOnlyList<StartupStep> needs, Func<CancellationToken, Task> run)
        {
            var step = new StartupStep(name, onFailure, needs, run);
            Add(step);
            return step;
        }

        public StartupStep<T> Add<T>(
            string name, OnFailure onFailure, IReadOnlyList<StartupStep> needs, Func<CancellationToken, Task<T>> run, Func<T>? otherwise = null)
            where T : class
        {
            var step = new StartupStep<T>(name, onFailure, needs, run, otherwise);
            Add(step);
            return step;
        }
    }
}
