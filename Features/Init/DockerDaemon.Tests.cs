using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

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
        _inside.Start();
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

        await _inside.InsideAsync("kill -9 $(cat /var/run/docker.pid)");
        await _inside.SeeAsync("Docker daemon ready", times: 2);
        Assert.Contains("ended unexpectedly with exit code 137", _inside.Output, StringComparison.Ordinal);

        _inside.Send(Signal.Terminate);
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
        _inside.Variables["NO_PROXY"] = "corp.example";
        _inside.Start();
        await _inside.SeeAsync("agent ready");
        foreach (var home in new[] { "/root", "/home/discobot" })
        {
            var settings = await _inside.InsideAsync($"cat {home}/.docker/config.json");
            Assert.Contains("\"httpsProxy\": \"http://172.17.0.1:17080\"", settings, StringComparison.Ordinal);
            Assert.Contains("\"noProxy\": \"localhost,127.0.0.1,::1,corp.example\"", settings, StringComparison.Ordinal);
        }

        Assert.Contains("\"auths\"", await ReadAsync("/root/.docker/config.json"), StringComparison.Ordinal);
        Assert.StartsWith("5", await _inside.InsideAsync("curl -s -o /dev/null -w '%{http_code}' -x http://172.17.0.1:17080 http://nowhere.invalid/"), StringComparison.Ordinal);
        _inside.Send(Signal.Terminate);
        await _inside.EndAsync();

        _inside.Program("/usr/local/bin/dockerd", "exit 1");
        _inside.Agent("cat ~/.docker/config.json; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.DoesNotContain("172.17.0.1", _inside.Output + await ReadAsync("/root/.docker/config.json"), StringComparison.Ordinal);
    }

    private Task<string> ReadAsync(string path) => File.ReadAllTextAsync(_inside.At(path));
}
