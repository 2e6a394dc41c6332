using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>The workspace's own configuration comes first, and is somebody's file.</summary>
public sealed class WorkspaceConfigTests
{
    private static readonly (string Made, string[] Reasons)[] Bad =
    [
        ("ln -s /etc/shadow config.yaml", ["config.yaml without following links"]),
        ("mkfifo config.yaml", ["config.yaml is not a regular file"]),
        ("truncate -s 1G config.yaml", ["config.yaml has 1073741824 bytes, more than the 1048576 allowed"]),
        ("echo 'cache: [' > config.yaml", [".discobot/proxy/config.yaml of the workspace:2:1"]),
        ("printf 'cache:\\n  dir: /etc\\nlogging:\\n  file: /etc/cron.d/x\\n' > config.yaml", ["cache.dir: /etc is not below /.data/proxy", "logging.file: /etc/cron.d/x is not below /.data/proxy"]),
        ("printf 'cache: { dir: /.data/proxy/../../etc }\\ntls: { cert_dir: /home/discobot }\\n' > config.yaml", ["cache.dir: ", "tls.cert_dir: must be /.data/proxy/certs"]),
        ("printf 'proxy: { listen: [0.0.0.0] }\\napi: { listen: [\"::\"] }\\n' > config.yaml", ["proxy.listen: 0.0.0.0 is not a loopback address", "api.listen: :: is not a loopback address"]),
        ("printf 'headers: { a.b: { set: { Authorization: \"file:/etc/shadow\" } } }\\n' > config.yaml", ["a workspace cannot name files for secrets"]),
        ("printf 'proxy: { prot: 1 }\\ncache: { max_size: much }\\n' > config.yaml", ["prot", "max_size"]),
        ("printf '\\377\\376' > config.yaml", ["not valid UTF-8"]),
        ("cd ..; rmdir proxy; ln -s /etc proxy", ["proxy without following links"]),
    ];

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_good_one_is_copied_and_in_force(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("mkdir -p /.workspace/.discobot/proxy; printf 'proxy:\\n  port: 18080\\ncache:\\n  max_size: 50GiB # more\\n' > /.workspace/.discobot/proxy/config.yaml");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.Agent("echo $HTTPS_PROXY; exit 0");
        Assert.Equal(0, await container.RunAsync());
        Assert.Equal("proxy:\n  port: 18080\ncache:\n  max_size: 50GiB # more\n", await container.ReadAsync("/.data/proxy/config.yaml"));
        var log = await container.OutputAsync();
        Assert.Contains("HTTP proxy ready on port 18080\n", log, StringComparison.Ordinal);
        Assert.Contains("\nhttp://localhost:18080\n", log, StringComparison.Ordinal);
    }

    /// <summary>One container, started again for each: the agent makes the file in its session, the next start meets it.</summary>
    [Fact]
    public async Task A_bad_one_is_refused_with_every_reason_and_the_default_serves()
    {
        await using var container = new SessionContainer(Distro.Alpine);
        container.AgentSays($"mkdir -p .discobot/proxy; cd .discobot/proxy; {Bad[0].Made}");
        Assert.Equal(0, await container.RunAsync());
        for (var next = 1; next <= Bad.Length; next++)
        {
            var (made, reasons) = Bad[next - 1];
            container.Agent(next == Bad.Length ? "exit 0" : $"rm -r .discobot; mkdir -p .discobot/proxy; cd .discobot/proxy; {Bad[next].Made}; exit 0");
            Assert.Equal(0, await container.RunAsync());
            var log = await container.OutputAsync();
            Assert.True(log.Contains("error: proxy configuration NOT used:", StringComparison.Ordinal), $"{made}\n{log}");
            Assert.Contains("proxy config: built-in default", log, StringComparison.Ordinal);
            Assert.Contains("HTTP proxy ready on port 17080", log, StringComparison.Ordinal);
            Assert.All(reasons, reason => Assert.True(log.Contains(reason, StringComparison.Ordinal), $"{made}: no {reason}\n{log}"));
        }
    }
}
