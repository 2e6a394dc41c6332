using System.Net.Sockets;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Starts dockerd when the image has one, behind the proxy and after the authority is trusted, so that its very first pull is cached.
/// Without it the container works.
/// </summary>
internal sealed class DockerDaemon(Container container)
{
    private const string Group = "docker";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);
    private readonly NestedDocker _nested = new(container);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _nested.Withdraw();
        if (container.FindProgram("dockerd") is not { } program)
        {
            container.Log.Debug("Docker daemon not started: no dockerd on PATH");
            return;
        }

        Prepare();
        _nested.PrepareRuntime();
        if (await StartAsync(program, cancellationToken) is { } child)
            container.Running.Supervise("Docker daemon", child, stop => StartAsync(program, stop), container.Log);
    }

    private void Prepare()
    {
        var users = new UserDatabase(container.Paths.Etc);
        users.FindOrAddGroup(Group);
        users.AddToGroup(container.Agent.Name, Group);
        new ControlGroups(container).AllowNesting();
        Directory.CreateDirectory(container.Paths.In("/var/run"));
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        data.OpenOrCreate("docker", 0x1C0, new Owner(Libc.GetUser(), Libc.GetUserGroup())).Dispose();
    }

    private async Task<ChildProcess?> StartAsync(string program, CancellationToken cancellationToken)
    {
        StalePidFile.Remove(container.Paths.DockerPidFile, "dockerd", container.Log);
        StalePidFile.Remove(container.Paths.In("/var/run/docker/containerd/containerd.pid"), "containerd", container.Log);
        File.Delete(container.Paths.DockerSocket);
        var taken = new DockerConfig(container).Write();
        var child = await container.Spawner.StartAsync(new Launch("Docker daemon", [program, .. Arguments(taken)]) { Environment = DaemonEnvironment() });
        container.Running.Docker = child;
        container.Log.Info($"Docker daemon started (pid={child.Id}), waiting for its socket...");
        var failure = await WaitAsync(child, cancellationToken);
        if (failure is null)
        {
            container.Log.Info("Docker daemon ready");
            _nested.Connect();
            return child;
        }

        container.Log.Warning($"Docker daemon did not become ready: {failure}");
        child.SendToGroup(Signal.Kill);
        await child.Exited;
        container.Running.Docker = null;
        return null;
    }

    // dockerd refuses to start when a setting is in its file and on its command line: the file's word counts.
    private IEnumerable<string> Arguments(IReadOnlySet<string> taken)
    {
        (string Key, string Option, string Value)[] settings =
        [
            ("data-root", "--data-root", container.Paths.Docker),
            ("storage-driver", "--storage-driver", "overlay2"),
            ("hosts", "--host", $"unix://{container.Paths.DockerSocket}"),
            ("group", "--group", Group),
            ("log-level", "--log-level", "error"),
        ];
        return settings.Where(s => !taken.Contains(s.Key)).SelectMany(s => new[] { s.Option, s.Value });
    }

    private Dictionary<string, string> DaemonEnvironment()
    {
        var environment = container.SharedEnvironment();
        if (container.ProxyReady)
        {
            foreach (var (name, value) in ProxyEnvironment.Variables(container))
                environment[name] = value;
        }

        if (_nested.IsWanted)
            environment["PATH"] = $"{NestedDocker.RuntimeDirectory}:{environment.GetValueOrDefault("PATH", Container.UsualPath)}";
        return environment;
    }

    private async Task<string?> WaitAsync(ChildProcess child, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            while (!child.Exited.IsCompleted)
            {
                if (await AnswersAsync(limit.Token))
                    return null;
                await Task.WhenAny(child.Exited, Task.Delay(Poll, limit.Token));
                limit.Token.ThrowIfCancellationRequested();
            }

            return $"it ended with exit code {await child.Exited}; `dockerd --debug` in the container tells why (it needs --privileged)";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"it did not answer on its socket within {Limit.TotalSeconds} s";
        }
    }

    // The socket accepts long before the daemon serves, and before it knows whether it can.
    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(container.Paths.DockerSocket), cancellationToken);
            await socket.SendAsync("GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"u8.ToArray(), cancellationToken);
            var answer = new byte[12];
            var length = await socket.ReceiveAsync(answer, cancellationToken);
            return answer.AsSpan(0, length).SequenceEqual("HTTP/1.1 200"u8);
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
