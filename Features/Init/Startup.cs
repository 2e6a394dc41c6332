using System.ComponentModel;
using System.Diagnostics;

namespace Discobot.Features.Init;

/// <summary>The order of the start-up.</summary>
internal static class Startup
{
    public static IReadOnlyList<StartupStep> Steps(Container c)
    {
        var steps = new StepTable();
        var egress = new EgressRules(c);
        steps.Add("localhost name", OnFailure.Warn, [], new LocalhostName(c).RunAsync);
        steps.Add("network settings", OnFailure.Warn, [], new NetworkSettings(c).RunAsync);
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
        steps.Add("way out", OnFailure.Fatal, [], _ => egress.LeadAsync(proxy.Result));
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
        CertificateTrust.Check(seen),
        ProxyDaemon.Check(seen),
        ShellProfile.Check(seen),
        DockerDaemon.Check(seen),
        .. SessionHooks.Check(seen),
    ];

    /// <summary>Runs the steps in order and says how long each took.</summary>
    /// <returns>False when a fatal step failed.</returns>
    /// <exception cref="OperationCanceledException">A stop was asked for.</exception>
    public static async Task<bool> RunAsync(IReadOnlyList<StartupStep> steps, InitLog log, CancellationToken cancellationToken)
    {
        var total = Stopwatch.StartNew();
        var failed = new HashSet<StartupStep>();
        foreach (var step in steps)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (await TryAsync(step, failed, log, cancellationToken) is not { } failure)
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
    private static async Task<OnFailure?> TryAsync(StartupStep step, HashSet<StartupStep> failed, InitLog log, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            if (step.Needs.FirstOrDefault(failed.Contains) is { } missing)
                throw new StartupException($"it needs {missing.Name}");
            await step.RunAsync(cancellationToken);
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
