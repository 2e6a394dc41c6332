using System.ComponentModel;
using System.Diagnostics;

namespace Discobot.Features.Init;

/// <summary>The order of the start-up.</summary>
internal static class Startup
{
    public static IReadOnlyList<StartupStep> Steps(Container c)
    {
        var egress = new EgressRules(c);
        return
        [
            new("localhost name", OnFailure.Warn, [], new LocalhostName(c).RunAsync),
            new("network settings", OnFailure.Warn, [], new NetworkSettings(c).RunAsync),
            new("git safe directories", OnFailure.Warn, [], new GitSafeDirectories(c).RunAsync),
            new("shell environment", OnFailure.Warn, [], new ShellProfile(c).RemoveAsync),
            new("data directories", OnFailure.Fatal, [], new DataDirectories(c).RunAsync),
            new("base home", OnFailure.Fatal, ["data directories"], new BaseHome(c).RunAsync),
            new("workspace", OnFailure.Fatal, ["base home"], new WorkspaceSetup(c).RunAsync),
            new("filesystem", OnFailure.Fatal, ["base home", "workspace"], new SessionFilesystem(c).RunAsync),
            new("cache mounts", OnFailure.Warn, ["filesystem"], new CacheMounts(c).RunAsync),
            new("workspace link", OnFailure.Fatal, ["filesystem"], new WorkspaceLink(c).RunAsync),
            new("proxy config", OnFailure.Warn, ["data directories", "filesystem"], new ProxyConfig(c).RunAsync),
            new("egress rules", OnFailure.Fatal, [], egress.CloseAsync),
            new("CA certificate and trust", OnFailure.Warn, ["data directories"], new CertificateTrust(c).RunAsync),
            new("HTTP proxy", OnFailure.Warn, ["proxy config"], new ProxyDaemon(c).RunAsync),
            new("way out", OnFailure.Fatal, [], egress.LeadAsync),
            new("Docker daemon", OnFailure.Warn, ["data directories"], new DockerDaemon(c).RunAsync),
            new("session hooks", OnFailure.Warn, ["filesystem"], new SessionHooks(c).RunAsync),
            new("agent-api", OnFailure.Fatal, ["filesystem"], new AgentApi(c).RunAsync),
        ];
    }

    /// <summary>Runs the steps in order and says how long each took.</summary>
    /// <returns>False when a fatal step failed.</returns>
    /// <exception cref="OperationCanceledException">A stop was asked for.</exception>
    public static async Task<bool> RunAsync(IReadOnlyList<StartupStep> steps, InitLog log, CancellationToken cancellationToken)
    {
        var total = Stopwatch.StartNew();
        var failed = new HashSet<string>();
        foreach (var step in steps)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (await TryAsync(step, failed, log, cancellationToken) is not { } failure)
                continue;
            failed.Add(step.Name);
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
    private static async Task<OnFailure?> TryAsync(StartupStep step, HashSet<string> failed, InitLog log, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            if (step.Needs.FirstOrDefault(failed.Contains) is { } missing)
                throw new StartupException($"it needs {missing}");
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
}
