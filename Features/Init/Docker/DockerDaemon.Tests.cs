using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Docker;

/// <summary>The whole init in namespaces with a dockerd that only answers, which is all that the start asks of it.</summary>
public sealed class DockerDaemonTests : IDisposable
{
    internal const string Daemon = """
        [ -e /var/run/docker.pid ] && { echo docker.pid is there; exit 1; }
        echo $$ > /var/run/docker.pid; echo "$*" > /tmp/arguments; env > /tmp/environment
        exec python3 -c '
        import socket
        s = socket.socket(socket.AF_UNIX); s.bind("/var/run/docker.sock"); s.listen()
        while True:
            c = s.accept()[0]; c.recv(999); c.send(b"HTTP/1.1 200 OK\r\n\r\n"); c.close()
        '
        """;

    private readonly Enclosure _inside = new();

    public DockerDaemonTests()
    {
        _inside.Program("/usr/local/bin/dockerd", Daemon);
        _inside.Agent("trap 'exit 0' TERM; grep Groups: /proc/self/status; echo agent ready; while :; do sleep 0.05; done");
    }

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task It_starts_behind_the_proxy_is_started_again_after_a_crash_and_stops_after_the_proxy()
    {
        _inside.Prepare("mkdir -p $1/var/run $1/etc/docker; echo 1 > $1/var/run/docker.pid; echo '{\"debug\": true, \"log-level\": \"warn\"}' > $1/etc/docker/daemon.json");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        Assert.Contains("removing stale /var/run/docker.pid", _inside.Output, StringComparison.Ordinal);
        Assert.Equal("--data-root /.data/docker --storage-driver overlay2 --host unix:///var/run/docker.sock --group docker\n", await ReadAsync("/tmp/arguments"));
        var environment = (await ReadAsync("/tmp/environment")).Split('\n');
        foreach (var name in new[] { "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy" })
            Assert.Contains($"{name}=http://localhost:17080", environment);
        Assert.Contains("NO_PROXY=localhost,127.0.0.1,::1", environment);
        Assert.Contains("NODE_EXTRA_CA_CERTS=/.data/proxy/certs/ca.crt", environment);
        Assert.Contains("\"debug\": true", await ReadAsync("/etc/docker/daemon.json"), StringComparison.Ordinal);
        var group = new UserDatabase(_inside.At("/etc")).FindGroup("docker");
        Assert.Matches($"Groups:[^\n]*\\b{group}\\b", _inside.Output);

        await _inside.ShellAsync("kill -9 $(cat /var/run/docker.pid)");
        await _inside.SeeAsync("Docker daemon ready", times: 2);
        Assert.Contains("ended unexpectedly with exit code 137", _inside.Output, StringComparison.Ordinal);

        await _inside.SendAsync("TERM");
        await _inside.EndAsync();
        var at = new[] { "agent-api stopped, exit code 0", "] proxy stopped, exit code 0", "] Docker daemon stopped" }
            .Select(text => _inside.Output.IndexOf(text, StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), _inside.Output);
    }

    [Fact]
    public async Task One_that_ends_at_once_is_told_and_the_container_works_without()
    {
        _inside.Program("/usr/local/bin/dockerd", "echo cannot; exit 1");
        _inside.Agent("exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("warning: Docker daemon did not become ready: it ended with exit code 1", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>A bridge of its name is all that tells the init where nested containers are.</summary>
    [Fact]
    public async Task Nested_containers_are_offered_the_proxy_while_it_is_there_and_no_longer()
    {
        _inside.Before = "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up";
        _inside.Prepare("mkdir -p $1/root/.docker; echo '{\"auths\": {}}' > $1/root/.docker/config.json");
        _inside.Environment["NO_PROXY"] = "corp.example";
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        foreach (var home in new[] { "/root", "/home/discobot" })
        {
            var settings = await _inside.ShellAsync($"cat {home}/.docker/config.json");
            Assert.Contains("\"httpsProxy\": \"http://172.17.0.1:17080\"", settings, StringComparison.Ordinal);
            Assert.Contains("\"noProxy\": \"localhost,127.0.0.1,::1,corp.example\"", settings, StringComparison.Ordinal);
        }

        Assert.Contains("\"auths\"", await ReadAsync("/root/.docker/config.json"), StringComparison.Ordinal);
        Assert.StartsWith("5", await _inside.ShellAsync("curl -s -o /dev/null -w '%{http_code}' -x http://172.17.0.1:17080 http://nowhere.invalid/"), StringComparison.Ordinal);
        await _inside.SendAsync("TERM");
        await _inside.EndAsync();

        _inside.Program("/usr/local/bin/dockerd", "exit 1");
        _inside.Agent("cat ~/.docker/config.json; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.DoesNotContain("172.17.0.1", _inside.Output + await ReadAsync("/root/.docker/config.json"), StringComparison.Ordinal);
    }

    /// <summary>A socket in a directory that is the host's, a socket that is a mount itself, and one where the file has the daemon listen.</summary>
    [Theory]
    [InlineData("/var/run/docker.sock", "mount --bind shared var/run", "/shared/docker.sock")]
    [InlineData("/var/run/docker.sock", "touch var/run/docker.sock; mount --bind shared/docker.sock var/run/docker.sock", "/shared/docker.sock")]
    [InlineData("/elsewhere/d.sock", "mkdir -p elsewhere etc/docker; echo '{\"hosts\": [\"unix:///elsewhere/d.sock\"]}' > etc/docker/daemon.json; mount --bind shared elsewhere", "/shared/d.sock")]
    public async Task A_socket_that_somebody_serves_is_left_alone_and_used(string seen, string mount, string socket)
    {
        _inside.Prepare("mkdir -p $1/shared $1/var/run; echo 77777 > $1/shared/docker.pid");
        using var served = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        served.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(_inside.At(socket)));
        served.Listen();
        var asked = Task.Run(async () =>
        {
            using var asker = await served.AcceptAsync();
            var question = new byte[100];
            return System.Text.Encoding.ASCII.GetString(question, 0, await asker.ReceiveAsync(question));
        });
        ContainerFixture.Sh("chown 0:4242 \"$1\"; chmod 660 \"$1\"", _inside.At(socket));
        _inside.Before = mount;
        _inside.Agent("trap 'exit 0' TERM; grep Groups: /proc/self/status; echo agent ready; while :; do sleep 0.05; done");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        Assert.Contains($"Docker daemon not started: {seen} is a mount or somebody serves it", _inside.Output, StringComparison.Ordinal);
        Assert.Matches("Groups:[^\n]*\\b4242\\b", _inside.Output);
        Assert.False(File.Exists(_inside.At("/tmp/arguments")));
        Assert.Equal("77777\n", await ReadAsync("/shared/docker.pid"));
        Assert.StartsWith("GET /_ping HTTP/1.1", await asked, StringComparison.Ordinal);
        using var client = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        await client.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(_inside.At(socket)));
    }

    [Theory]
    [InlineData("etc/docker/daemon.json", "{\"debug\": true}", "Docker daemon ready")]
    [InlineData("etc/group", "root:x:0:\ndiscobot:x:1000:\n", "is no member of the group docker")]
    [InlineData("etc/passwd", "root:x:0:0::/root:/bin/sh\ndiscobot:x:1000:1000::/home/discobot:/bin/sh\n", "the proxy runs as root")]
    [InlineData("etc/hosts", "::1 localhost\n", "localhost name failed")]
    [InlineData("etc/gitconfig", "", "git safe directories failed")]
    [InlineData("etc/profile", "x=1\n", "HTTP proxy ready")]
    [InlineData("etc/bash.bashrc", "x=1\n", "warning: /etc/bash.bashrc stays as it is, ")]
    public async Task A_file_of_etc_that_is_a_mount_costs_a_line_and_not_Docker(string file, string content, string line)
    {
        _inside.Program("/usr/local/bin/dockerd", Daemon.Replace("s.listen()", "s.listen(); import os; os.chmod(\"/var/run/docker.sock\", 0o660)", StringComparison.Ordinal));
        _inside.Prepare($"mkdir -p $1/var/run $1/etc/docker; touch $1/{file}; printf '{content.Replace("\n", "\\n", StringComparison.Ordinal)}' > $1/mounted");
        _inside.Before = $"mount --bind mounted {file}; mount -o remount,bind,ro {file}";
        _inside.Agent("trap 'exit 0' TERM; [ -w /var/run/docker.sock ] || [ ! -e /var/run/docker.sock ] || ls -ln /var/run/docker.sock; echo agent ready; while :; do sleep 0.05; done");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        Assert.Contains(line, _inside.Output, StringComparison.Ordinal);
        Assert.Contains("Docker daemon ready", _inside.Output, StringComparison.Ordinal);
        if (file == "etc/group")
            Assert.Equal("0:1000\n", await _inside.ShellAsync("stat -c %u:%g /var/run/docker.sock"));
        Assert.Equal(content, await ReadAsync("/mounted"));
    }

    [Fact]
    public async Task It_is_ready_when_it_answers_where_its_file_has_it_listen()
    {
        _inside.Program("/usr/local/bin/dockerd", Daemon.Replace("AF_UNIX); s.bind(\"/var/run/docker.sock\")", "AF_INET); s.setsockopt(1, 2, 1); s.bind((\"127.0.0.1\", 2375))", StringComparison.Ordinal));
        _inside.Prepare("mkdir -p $1/var/run $1/etc/docker; echo '{\"hosts\": [\"tcp://0.0.0.0:2375\"]}' > $1/etc/docker/daemon.json");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        Assert.Contains("Docker daemon ready", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("--host", await ReadAsync("/tmp/arguments"), StringComparison.Ordinal);
    }

    /// <summary>What the agent has put before root's own on PATH, and where libraries and interpreters look, is not what root runs.</summary>
    [Fact]
    public async Task No_program_library_or_configuration_of_the_agents_is_roots()
    {
        const string Theft = "touch /was-here; exec /usr/local/bin/";
        _inside.Environment["PATH"] = "/home/discobot/.local/bin:/opt/tools:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
        _inside.Environment["LD_LIBRARY_PATH"] = "/home/discobot/lib";
        _inside.Environment["PYTHONPATH"] = "/home/discobot/python";
        _inside.Environment["HOME"] = "/home/discobot";
        _inside.Environment["BASH_ENV"] = "/home/discobot/.env";
        _inside.Environment["MINE"] = "kept";
        _inside.Environment["WORKSPACE_PATH"] = "/repo";
        _inside.Prepare("mkdir -p $1/opt/tools $1/var/run $1/repo; git -C $1/repo init -q .; chown 1000:1000 $1/opt/tools");
        foreach (var program in new[] { "dockerd", "git", "runc", "containerd", "update-ca-certificates", "iptables" })
        {
            _inside.Program($"/home/discobot/.local/bin/{program}", Theft + program);
            _inside.Program($"/opt/tools/{program}", Theft + program);
        }

        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        Assert.False(File.Exists(_inside.At("/was-here")));
        var environment = (await ReadAsync("/tmp/environment")).Split('\n');
        Assert.Contains("MINE=kept", environment);
        Assert.Contains("HOME=/root", environment);
        Assert.DoesNotContain(environment, line => line.Contains("/home/", StringComparison.Ordinal) || line.Contains("/opt/tools", StringComparison.Ordinal));
        Assert.Contains("PATH=", string.Join('\n', environment), StringComparison.Ordinal);
    }

    /// <summary>A user of the system has a directory of root's for a home, as daemon has /usr/sbin: what is in it stays root's.</summary>
    [Fact]
    public async Task It_starts_also_for_an_agent_whose_home_is_the_systems()
    {
        _inside.Prepare("mkdir -p $1/var/run; echo 'svc:x:2:2::/usr/local/bin:/bin/sh' >> $1/etc/passwd; echo 'svc:x:2:' >> $1/etc/group");
        _inside.Environment["AGENT_USER"] = "svc";
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        Assert.Contains("Docker daemon ready", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task That_a_daemon_is_not_started_because_others_could_change_it_is_told()
    {
        _inside.Prepare("mkdir -p $1/opt/tools; rm $1/local/bin/dockerd; chown 1000:1000 $1/opt/tools");
        _inside.Program("/opt/tools/dockerd", "touch /was-here");
        _inside.Environment["PATH"] = "/opt/tools:/usr/local/bin:/usr/bin:/bin";
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        Assert.Contains("warning: Docker daemon not started: no dockerd in those directories of PATH that only root can change", _inside.Output, StringComparison.Ordinal);
        Assert.False(File.Exists(_inside.At("/was-here")));
    }

    private Task<string> ReadAsync(string path) => File.ReadAllTextAsync(_inside.At(path));
}
