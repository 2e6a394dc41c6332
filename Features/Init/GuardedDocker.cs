using System.Diagnostics;
using System.Globalization;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Docker behind a guard: dockerd's own socket lies where only root comes, and at the usual place the agent finds one that refuses what leads out of
/// the container. What dockerd is given for that is made here; the guard itself is a process of its own, <c>discobot docker-guard</c>.
/// </summary>
internal sealed class GuardedDocker(Container container)
{
    /// <summary>Set for dockerd and whatever it starts: <c>on</c>, or <see cref="Alone"/>.</summary>
    public const string Variable = "DISCOBOT_DOCKER_GUARD";

    /// <summary>Nested containers are kept in, and not given the proxy's authority (<c>init.nested_docker: false</c>).</summary>
    public const string Alone = "alone";

    /// <summary>The end of the name of dockerd's data: what was made without the guard may be privileged, and would be started again under it.</summary>
    public const string DataSuffix = ".guarded";

    private const string SeenDirectory = "/run/discobot/docker";
    private const string ConfigName = "daemon.json";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    /// <summary>dockerd's own.</summary>
    public string Socket => container.Paths.In($"{SeenDirectory}/docker.sock");

    /// <summary>dockerd's configuration, without the hosts of its file.</summary>
    public string ConfigFile => container.Paths.In($"{SeenDirectory}/{ConfigName}");

    /// <summary>Where bind mounts may come from, and no link is followed. The link /workspace is root's, and leads into the home.</summary>
    public IReadOnlyList<string> Sources { get; } = [.. Directories(container).Where(Directory.Exists).Distinct()];

    /// <summary>Before dockerd starts.</summary>
    public void Prepare(DockerConfig config)
    {
        using var run = DirectoryHandle.OpenTrusted(Directory.CreateDirectory(container.Paths.Run).FullName);
        using var directory = run.OpenOrCreate(Path.GetFileName(SeenDirectory), 0x1C0, new Owner(Libc.GetUser(), Libc.GetUserGroup()));
        directory.WriteBytes(ConfigName, Encoding.UTF8.GetBytes(config.Guarded()), 0x180, new Owner(Libc.GetUser(), Libc.GetUserGroup()));
        // Root in a nested container can make device nodes in what is mounted there; outside, they would be the agent's to open.
        foreach (var source in Sources)
            LinklessMounts.ForbidDevices(source);
    }

    /// <summary>Refuses a socket that somebody else serves, if the agent may open it: what it can do there, nobody guards.</summary>
    /// <exception cref="StartupException">The agent may.</exception>
    public void Judge(DockerEndpoint served)
    {
        if (container.Agent.User == 0 || Libc.StatusOf(served.Socket!) is not { } status)
            return;
        var mayOpen = status.Owner.User == container.Agent.User || (status.Permissions & 0x2) != 0
            || ((status.Permissions & 0x10) != 0 && (container.Agent.Group == status.Owner.Group || container.Agent.Groups.Contains(status.Owner.Group)));
        if (mayOpen)
        {
            throw new StartupException($"docker.guard cannot be kept: {served} is another daemon's, and {container.Agent.Name} may open it; take it out of the "
                + "container, or set docker.guard: off in the operator's policy")
            { IsFatal = true };
        }

        container.Log.Info($"{served} is not given to {container.Agent.Name} (docker.guard)");
    }

    /// <summary>Starts the guard and keeps it running.</summary>
    public async Task RunAsync(string usual, uint group, CancellationToken cancellationToken)
    {
        var child = await StartAsync(usual, group, cancellationToken);
        container.Running.Supervise("Docker guard", child, stop => StartAsync(usual, group, stop), container.Log);
    }

    private static IEnumerable<string> Directories(Container container)
    {
        yield return container.Paths.Home;
        yield return container.Paths.WorkspaceLink;
        yield return container.Paths.In("/tmp");
        if (container.Agent.Home.StartsWith("/home/", StringComparison.Ordinal))
            yield return container.Paths.In(container.Agent.Home.TrimEnd('/'));
    }

    private async Task<ChildProcess?> StartAsync(string usual, uint group, CancellationToken cancellationToken)
    {
        string[] arguments =
        [
            "/proc/self/exe", "docker-guard", "--listen", usual, "--group", group.ToString(CultureInfo.InvariantCulture), "--daemon", Socket,
            .. Sources.SelectMany(source => new[] { "--source", source }),
        ];
        var child = await container.Spawner.StartAsync(new Launch("Docker guard", arguments)
        {
            DropsCapabilities = true,
            NoNewPrivileges = true,
            Environment = new Dictionary<string, string> { ["PATH"] = Container.UsualPath },
        });
        container.Running.DockerGuard = child;
        var endpoint = new DockerEndpoint(usual);
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < Limit && !child.Exited.IsCompleted;)
        {
            if (await endpoint.IsServedAsync(cancellationToken))
            {
                container.Log.Info($"Docker guard ready (pid={child.Id})");
                return child;
            }

            await Task.Delay(Poll, cancellationToken);
        }

        container.Log.Warning($"Docker guard did not become ready: {container.Agent.Name} cannot use Docker");
        await child.KillAsync();
        return null;
    }
}
