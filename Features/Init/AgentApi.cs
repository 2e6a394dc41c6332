using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Starts the program that the container is there for. Its end is the container's end.</summary>
internal sealed class AgentApi(Container container)
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
            WorkingDirectory = container.Paths.Workspace,
            Environment = ChildEnvironment(),
        });
        container.Running.AgentApi = child;
        container.Log.Info($"agent-api started (pid={child.Id})");
    }

    private Dictionary<string, string> ChildEnvironment()
    {
        var environment = ProxyEnvironment.Without(container.Environment, container.Proxy.Port);
        environment["HOME"] = container.Agent.Home;
        environment["USER"] = container.Agent.Name;
        environment["LOGNAME"] = container.Agent.Name;
        environment["DISCOBOT_HOOKS_ENABLED"] = "true";
        if (container.ProxyReady)
        {
            foreach (var (name, value) in ProxyEnvironment.Variables(container))
                environment[name] = value;
        }

        return environment;
    }
}
