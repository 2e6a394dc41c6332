using System.Globalization;
using Discobot.Features.Egress;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// Starts dockerd when the image has one, behind the proxy and after the authority is trusted, so that its very first pull is cached.
/// Without it the container works.
/// </summary>
internal sealed class DockerDaemon(Container container, ClientProxy proxy, EgressRules egress)
{
    private const string HostsGroup = "docker-host";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);
    private readonly NestedDocker _nested = new(container, proxy, egress);
    private string _dataRoot = container.Paths.Docker;
    private GuardedDocker? _guard;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _nested.Withdraw();
        var config = DockerConfig.Read(container);
        _guard = egress.GuardsDocker ? new GuardedDocker(container) : null;
        if (await FindServedAsync(config, cancellationToken) is { } served)
        {
            _guard?.Judge(served);
            if (_guard is null)
                UseServed(served);
            return;
        }

        if (container.FindProgram("dockerd") is not { } program)
        {
            Action<string> tell = container.HasProgram("dockerd") ? container.Log.Warning : container.Log.Debug;
            tell("Docker daemon not started: no dockerd in those directories of PATH that only root can change");
            return;
        }

        // The options of a network may name it (com.docker.network.bridge.name), and what is between two of its ports passes no rule.
        if (egress.Mode == EgressMode.Enforce && egress.Uplinks.Count > 0)
        {
            container.Log.Warning($"Docker daemon not started: its containers could leave by a bridge that was there before and leads out: {string.Join(", ", egress.Uplinks.Select(bridge => bridge.Name))}");
            return;
        }

        if (config.IsLeftOut)
            container.Log.Warning($"{container.Paths.In("/etc/docker/daemon.json")} is no regular file: the Docker daemon does without");
        Prepare(config);
        new ConfigDirectory(container).MakeWritable(cancellationToken);
        _nested.PrepareRuntime(isGuarded: _guard is not null);
        _guard?.Prepare(config);
        var child = await StartAsync(program, cancellationToken);
        if (_guard is not null)
            await _guard.RunAsync(container.Paths.DockerSocket, SocketGroup(config), cancellationToken);
        container.Running.Supervise("Docker daemon", child, stop => StartAsync(program, stop), container.Log);
    }

    // A socket that somebody serves is another daemon's, as a rule the host's: replacing it would cut that off from all its clients.
    private async Task<DockerEndpoint?> FindServedAsync(DockerConfig config, CancellationToken cancellationToken)
    {
        foreach (var endpoint in config.Endpoints(container.Paths.DockerSocket).Where(e => e.Socket is not null))
        {
            if (await endpoint.IsServedAsync(cancellationToken))
                return endpoint;
            if (Mounts.TypeAt(RealPath.Below("/", endpoint.Socket!)) is null)
                continue;
            // The engine makes a directory for a mount whose file is missing on its host.
            if (Libc.StatusOf(endpoint.Socket!) is { Kind: FileKind.Directory })
                throw new StartupException($"{endpoint} is a directory that is mounted there: Docker does not run on the machine that it was to come from, or it listens elsewhere");
            return endpoint;
        }

        return null;
    }

    private void UseServed(DockerEndpoint served)
    {
        container.Log.Info($"Docker daemon not started: {served} is a mount or somebody serves it, so it is used as it is. What runs there does not get the "
            + "proxy, and whoever may use it is root where it runs");
        if (Libc.StatusOf(served.Socket!) is not { Kind: FileKind.Other } status || (status.Permissions & 0x2) != 0 || container.Agent.User == 0)
            return;
        if (status.Owner.Group == 0 || (status.Permissions & 0x10) == 0)
        {
            container.Log.Warning($"{container.Agent.Name} may not use {served}: it is root's alone");
            return;
        }

        var users = new UserDatabase(container.Paths.Etc);
        TryUsers(() => users.AddToGroup(container.Agent.Name, users.FindOrAddGroup(status.Owner.Group, HostsGroup)),
            $"{container.Agent.Name} may not use {served}");
    }

    private void Prepare(DockerConfig config)
    {
        var users = new UserDatabase(container.Paths.Etc);
        TryUsers(
            () =>
            {
                users.FindOrAddGroup(config.Group);
                users.AddToGroup(container.Agent.Name, config.Group);
            },
            $"{container.Agent.Name} is no member of the group {config.Group}, so the socket becomes its own group's");
        new ControlGroups(container).AllowNesting();
        Directory.CreateDirectory(container.Paths.In("/var/run"));
        if (_guard is not null)
            _dataRoot += GuardedDocker.DataSuffix;

        // Two daemons with the same directory wait for each other's database until they give up.
        if (new VolumeLocks(container).TakeForLife(Path.GetFileName(_dataRoot)) is { } holder)
        {
            _dataRoot += "." + container.Session.SessionId;
            container.Log.Info($"{container.Paths.Data}/docker is in use by {holder}: this session's images and containers are in {_dataRoot}");
        }

        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        data.OpenOrCreate(Path.GetFileName(_dataRoot), 0x1C0, new Owner(Libc.GetUser(), Libc.GetUserGroup())).Dispose();
    }

    // Both files may be mounts, which nothing can be renamed over, or read-only.
    private void TryUsers(Action change, string consequence)
    {
        try
        {
            change();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"{consequence}: {error.Message}");
        }
    }

    private bool IsMember(string group)
        => container.Agent.User == 0 || (new UserDatabase(container.Paths.Etc) is var users && users.FindGroup(group) is { } number
            && users.Find(container.Agent.Name)?.Groups.Contains(number) == true);

    private async Task<ChildProcess?> StartAsync(string program, CancellationToken cancellationToken)
    {
        var config = DockerConfig.Read(container);
        if (_guard is null && await FindServedAsync(config, cancellationToken) is { } served)
        {
            container.Log.Warning($"Docker daemon not started: somebody else serves {served} now");
            return null;
        }

        StalePidFile.Remove(container.Paths.In(config.PidFile), "dockerd", container.Log);
        StalePidFile.Remove(container.Paths.In(config.ExecutionRoot + "/containerd/containerd.pid"), "containerd", container.Log);
        foreach (var socket in Endpoints(config).Select(e => e.Socket).OfType<string>())
            File.Delete(socket);
        var child = await container.Spawner.StartAsync(new Launch("Docker daemon", [program, .. Arguments(config)])
        {
            Environment = DaemonEnvironment(),
            LinklessDirectories = _guard?.Sources ?? [],
            // Its containers, too, whatever profile of its own it gives them.
            LimitsSockets = egress.Confines,
        });
        container.Running.Docker = child;
        container.Running.DockerSockets = _guard is null ? [.. Endpoints(config).Select(e => e.Socket).OfType<string>()] : [container.Paths.DockerSocket];
        container.Log.Info($"Docker daemon started (pid={child.Id}), waiting for its socket...");
        var failure = await WaitAsync(child, config, cancellationToken);
        if (failure is null)
        {
            if (_guard is null)
                LetAgentIn(config);
            container.Log.Info("Docker daemon ready");
            _nested.Connect();
            return child;
        }

        container.Log.Warning($"Docker daemon did not become ready: {failure}");
        await child.KillAsync();
        container.Running.Docker = null;
        return null;
    }

    private IReadOnlyList<DockerEndpoint> Endpoints(DockerConfig config)
        => _guard is null ? config.Endpoints(container.Paths.DockerSocket) : [new DockerEndpoint(_guard.Socket)];

    private uint SocketGroup(DockerConfig config)
        => IsMember(config.Group) && new UserDatabase(container.Paths.Etc).FindGroup(config.Group) is { } group ? group : container.Agent.Group;

    // Without the group in /etc/group the daemon cannot be told of it.
    private void LetAgentIn(DockerConfig config)
    {
        if (IsMember(config.Group))
            return;
        foreach (var socket in config.Endpoints(container.Paths.DockerSocket).Select(e => e.Socket).OfType<string>().Where(Path.Exists))
        {
            using var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(socket)!);
            directory.SetOwner(Path.GetFileName(socket), new Owner(0, container.Agent.Group));
        }
    }

    private IEnumerable<string> Arguments(DockerConfig config)
    {
        (string Key, string Option, string? Value)[] settings =
        [
            ("data-root", "--data-root", _dataRoot),
            ("storage-driver", "--storage-driver", "overlay2"),
            ("hosts", "--host", $"unix://{_guard?.Socket ?? container.Paths.DockerSocket}"),
            ("group", "--group", new UserDatabase(container.Paths.Etc).FindGroup(config.Group) is null ? null : config.Group),
            ("log-level", "--log-level", "error"),
            ("mtu", "--mtu", DockerConfig.Mtu(container.Paths)?.ToString(CultureInfo.InvariantCulture)),
        ];
        var said = settings.Where(s => s.Value is not null && (!config.Has(s.Key) || (_guard is not null && s.Key == "hosts")))
            .SelectMany(s => new[] { s.Option, s.Value! });
        var file = _guard?.ConfigFile ?? (config.IsLeftOut ? EmptyFile() : null);
        return file is null ? said : said.Append("--config-file").Append(file);
    }

    private string EmptyFile()
    {
        const string Name = "daemon.json";
        using var run = DirectoryHandle.OpenTrusted(Directory.CreateDirectory(container.Paths.Run).FullName);
        run.WriteBytes(Name, "{}"u8, 0x1A4, new Owner(Libc.GetUser(), Libc.GetUserGroup()));
        return Path.Combine(container.Paths.Run, Name);
    }

    private Dictionary<string, string> DaemonEnvironment()
    {
        var environment = proxy.RootEnvironment();
        // The mode in force, for what the daemon starts in front of runc.
        environment["DISCOBOT_EGRESS"] = EgressOptions.Word(egress.Mode);
        if (_guard is not null)
            environment[GuardedDocker.Variable] = _nested.IsWanted ? "on" : GuardedDocker.Alone;
        if (_nested.IsWanted || _guard is not null)
            environment["PATH"] = $"{NestedDocker.RuntimeDirectory}:{environment["PATH"]}";
        return environment;
    }

    private async Task<string?> WaitAsync(ChildProcess child, DockerConfig config, CancellationToken cancellationToken)
    {
        var endpoints = Endpoints(config);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            while (!child.Exited.IsCompleted)
            {
                foreach (var endpoint in endpoints)
                {
                    if (await endpoint.AnswersAsync(config.IsByTls && _guard is null, limit.Token))
                        return null;
                }

                await Task.WhenAny(child.Exited, Task.Delay(Poll, limit.Token));
                limit.Token.ThrowIfCancellationRequested();
            }

            return $"it ended with exit code {await child.Exited}; `dockerd --debug` in the container tells why (it needs --privileged, or the capabilities SYS_ADMIN, NET_ADMIN, SYS_PTRACE and MKNOD without the engine's own seccomp and AppArmor profiles)";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"it did not answer on {string.Join(" or ", endpoints)} within {Limit.TotalSeconds} s";
        }
    }

    /// <summary>Whether the agent may use the daemon, as a member of the group of a socket where it listens.</summary>
    public static Finding Check(SeenContainer seen)
    {
        const string Name = "docker group";
        var endpoints = DockerConfig.Read(seen.Paths, out _).Endpoints(seen.Paths.DockerSocket);
        // Behind a guard the file's hosts do not count, and the usual socket is the guard's.
        var sockets = endpoints.Select(e => e.Socket).OfType<string>().Select(seen.Paths.In).Append(seen.Paths.DockerSocket).Distinct().Where(Path.Exists).ToList();
        if (sockets.Count == 0)
            return SeenContainer.Absent(Name, endpoints.FirstOrDefault(e => e.Socket is null) is { } other ? $"{other} has no group" : "no Docker socket here");
        if (new UserDatabase(seen.Paths.Etc).Find(seen.Environment.GetValueOrDefault("AGENT_USER") is { Length: > 0 } name ? name : "discobot") is not { } agent)
            return SeenContainer.Absent(Name, "no agent here");
        var socket = sockets.Find(s => MayUse(agent, s)) ?? sockets[0];
        return SeenContainer.Step(Name, MayUse(agent, socket), $"{agent.Name} and the group {Libc.StatusOf(socket)?.Owner.Group} of {socket}",
            "add the agent's user to that group in the image; " + Doctor.Restart);
    }

    private static bool MayUse(UserRecord agent, string socket)
        => agent.User == 0 || (Libc.StatusOf(socket) is { } status
            && ((status.Permissions & 0x2) != 0 || agent.Group == status.Owner.Group || agent.Groups.Contains(status.Owner.Group)));
}
