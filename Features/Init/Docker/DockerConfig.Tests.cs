using System.Text.Json;

namespace Discobot.Features.Init.Docker;

public sealed class DockerConfigTests
{
    [Fact]
    public void What_the_file_says_counts_and_the_rest_is_as_usual()
    {
        var config = DockerConfig.Parse("""{"mtu": 9000, "pidfile": "/run/d.pid", "exec-root": "/run/d", "group": "wheel", "tlsverify": true}""");
        Assert.True(config.Has("mtu"));
        Assert.Equal(("/run/d.pid", "/run/d", "wheel", true), (config.PidFile, config.ExecutionRoot, config.Group, config.IsByTls));
        var usual = DockerConfig.Parse("  \n");
        Assert.Equal(("/var/run/docker.pid", "/var/run/docker", "docker", false), (usual.PidFile, usual.ExecutionRoot, usual.Group, usual.IsByTls));
        Assert.Equal("/s", Assert.Single(usual.Endpoints("/s")).Socket);
    }

    [Theory]
    [InlineData("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375")]
    [InlineData("tcp://0.0.0.0:2376", "tcp://127.0.0.1:2376")]
    [InlineData("tcp://:4243", "tcp://127.0.0.1:4243")]
    [InlineData("tcp://[::]:2375", "tcp://[::1]:2375")]
    [InlineData("tcp://localhost", "tcp://localhost:2375")]
    [InlineData("tcp://h:1/path", "tcp://h:1")]
    [InlineData("127.0.0.1:5", "tcp://127.0.0.1:5")]
    [InlineData("unix:///run/user/docker.sock", "/run/user/docker.sock")]
    [InlineData("unix://", "/var/run/docker.sock")]
    public void It_is_asked_where_its_hosts_say(string host, string asked)
        => Assert.Equal(asked, Assert.Single(DockerConfig.Parse($$"""{"hosts": ["fd://", "{{host}}"]}""").Endpoints("/s")).ToString());

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    public void What_is_no_object_is_an_error(string text) => Assert.ThrowsAny<JsonException>(() => DockerConfig.Parse(text));

    [Fact]
    public void The_interface_is_that_of_the_default_route_whatever_it_is_called()
    {
        const string Header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
        Assert.Equal("ens3", DockerConfig.DefaultInterface(
            [Header, "eth0\t0011A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0", "ens3\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0"]));
        Assert.Null(DockerConfig.DefaultInterface([Header]));
    }
}
