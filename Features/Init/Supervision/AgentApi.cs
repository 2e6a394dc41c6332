using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>Starts the program that the container is there for. Its end is the container's end.</summary>
internal sealed class AgentApi(Container container, ClientProxy proxy, EgressRules egress)
{
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var binary = container.Paths.In(container.Session.AgentBinary);
        if (!File.Exists(binary))
            throw new StartupException($"{binary} does not exist: set AGENT_BINARY or put the agent-api there");
        if ((File.GetUnixFileMode(binary) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) == 0)
            throw new StartupException($"{binary} is not executable");
        var child = await container.Spawner.StartAsync(new Launch("agent-api", [binary, .. container.AgentArguments])
        {
            User = container.Agent.Name,
            Foreground = true,
            FileMask = container.FileMask,
            DropsCapabilities = egress.Confines,
            LimitsSockets = egress.Confines,
            EndsWithUs = egress.Confines ? Signal.Kill : Signal.Terminate,
            NoNewPrivileges = egress.NoNewPrivileges,
            WorkingDirectory = container.Paths.Workspace,
            Environment = proxy.AgentEnvironment(),
        });
        container.Running.AgentApi = child;
        container.Log.Info($"agent-api started (pid={child.Id})");
        if (ProxyState.Read(container.Paths) is { } state)
            ProxyConfig.Publish(container, state with { Agent = child.Id });
    }

    /// <summary>Whether it runs.</summary>
    public static Finding Check(SeenContainer seen)
    {
        if (ProxyState.Read(seen.Paths) is not { Agent: > 0 and var process })
            return SeenContainer.Absent("agent-api", "the start has not told which process it is");
        var runs = ProcessTree.Read().Running.Contains(process);
        return SeenContainer.Step("agent-api", runs, $"process {process} {(runs ? "runs" : "has ended")}", Doctor.Restart);
    }
}
