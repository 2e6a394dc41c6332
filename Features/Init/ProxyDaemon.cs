using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Starts the proxy as its own user, waits until it serves, and keeps it running. Without it the container works, uncached.</summary>
internal sealed class ProxyDaemon(Container container)
{
    private const string SeenBinary = "/opt/discobot/bin/proxy";
    private const string SeenConfig = "/.data/proxy/config.yaml";
    private const string SeenLog = "/.data/proxy/proxy.log";

    // Somebody sits at the container's terminal: a line for each request would land in what they type.
    private bool LogsToFile => Libc.IsTerminal(0) == 1 && container.Proxy.LogFile is null;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(container.Paths.ProxyBinary))
        {
            container.Log.Info($"Proxy daemon not started: proxy binary not found at {SeenBinary}");
            return;
        }

        container.Log.Info($"found proxy at {SeenBinary}, starting HTTP proxy...");
        if (LogsToFile)
            container.Log.Info($"a terminal is attached, so the proxy's log goes to {SeenLog}");
        if (await StartAsync(cancellationToken) is not { } child)
            return;
        container.ProxyReady = true;
        container.Running.Supervise("proxy", child, StartAsync, container.Log);
        try
        {
            new ShellProfile(container).Write();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"login shells do not get the proxy's environment: {error.Message}");
        }
    }

    private async Task<ChildProcess?> StartAsync(CancellationToken cancellationToken)
    {
        string[] log = LogsToFile ? ["--log-file", container.Paths.In(SeenLog)] : [];
        var child = await container.Spawner.StartAsync(new Launch("proxy", [container.Paths.ProxyBinary, "-config", container.Paths.In(SeenConfig), .. log])
        {
            User = container.ProxyUser,
            Environment = ProxyEnvironment.Without(container.Environment, container.Proxy.Port),
        });
        container.Running.Proxy = child;
        container.Log.Info($"proxy started (pid={child.Id}), waiting for health check...");
        var failure = await new HealthGate(container.Proxy.Port, container.Proxy.ApiPort).WaitAsync(child, cancellationToken);
        if (failure is null)
        {
            container.Log.Info($"HTTP proxy ready on port {container.Proxy.Port}");
            return child;
        }

        container.Log.Info($"proxy did not become ready: {failure}");
        child.SendToGroup(Signal.Kill);
        await child.Exited;
        container.Running.Proxy = null;
        return null;
    }
}
