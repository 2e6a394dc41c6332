using System.Diagnostics;

namespace Discobot.Features.Init;

/// <summary>The order of the start-up. Each step relies on those above it.</summary>
internal static class Startup
{
    public static IReadOnlyList<StartupStep> Steps(Container c) =>
    [
        new("localhost name", OnFailure.Warn, new LocalhostName(c).RunAsync),
        new("network settings", OnFailure.Warn, new NetworkSettings(c).RunAsync),
        new("git safe directories", OnFailure.Warn, new GitSafeDirectories(c).RunAsync),
        new("data directories", OnFailure.Fatal, new DataDirectories(c).RunAsync),
        new("base home", OnFailure.Fatal, new BaseHome(c).RunAsync),
        new("workspace", OnFailure.Fatal, new WorkspaceSetup(c).RunAsync),
        new("filesystem", OnFailure.Fatal, new SessionFilesystem(c).RunAsync),
        new("cache mounts", OnFailure.Warn, new CacheMounts(c).RunAsync),
        new("workspace link", OnFailure.Fatal, new WorkspaceLink(c).RunAsync),
        new("proxy config", OnFailure.Warn, new ProxyConfig(c).RunAsync),
        new("CA certificate and trust", OnFailure.Warn, new CertificateTrust(c).RunAsync),
        new("HTTP proxy", OnFailure.Warn, new ProxyDaemon(c).RunAsync),
        new("Docker daemon", OnFailure.Warn, new DockerDaemon(c).RunAsync),
        new("session hooks", OnFailure.Warn, new SessionHooks(c).RunAsync),
        new("agent-api", OnFailure.Fatal, new AgentApi(c).RunAsync),
    ];

    /// <summary>Runs the steps in order and says how long each took.</summary>
    /// <returns>False when a fatal step failed.</returns>
    /// <exception cref="OperationCanceledException">A stop was asked for.</exception>
    public static async Task<bool> RunAsync(IReadOnlyList<StartupStep> steps, InitLog log, CancellationToken cancellationToken)
    {
        var total = Stopwatch.StartNew();
        foreach (var step in steps)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var watch = Stopwatch.StartNew();
            try
            {
                await step.RunAsync(cancellationToken);
                log.Completed(watch.Elapsed, step.Name);
            }
            catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
            {
                var text = error is StartupException or IOException or UnauthorizedAccessException ? error.Message : error.ToString();
                if (step.OnFailure == OnFailure.Fatal)
                {
                    log.Error($"{step.Name} failed: {text}");
                    return false;
                }

                log.Warning($"{step.Name} failed: {text}");
            }
        }

        log.Info($"[{InitLog.Seconds(total.Elapsed)}] startup completed");
        return true;
    }
}
