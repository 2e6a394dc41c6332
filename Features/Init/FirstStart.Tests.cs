using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>A proxy and a Docker daemon that do not come up at the first try, in the whole init in namespaces.</summary>
public sealed class FirstStartTests : IDisposable
{
    private const string Proxy = "exec /opt/discobot/lib/discobot proxy \"$@\"";
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Theory]
    [InlineData("it ended with exit code 3", "exit 3")]
    [InlineData("timeout waiting for proxy health check", "exec sleep 1000")]
    public async Task A_proxy_that_is_slow_or_fails_once_is_started_again_and_the_agent_has_it(string reason, string first)
    {
        _inside.Program("/opt/discobot/bin/proxy", $"[ -e /tmp/once ] || {{ : > /tmp/once; {first}; }}; {Proxy}");
        _inside.Agent("echo agent has $HTTP_PROXY; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains($"proxy did not become ready: {reason}\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("\nagent has http://localhost:17080\n", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_proxy_that_comes_up_after_the_agent_serves_logins_and_is_told()
    {
        _inside.Program("/opt/discobot/bin/proxy", "[ -e /tmp/go ] || exit 3; " + Proxy);
        _inside.Agent("echo agent has $HTTP_PROXY.; : > /tmp/go; sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("\nagent has .\n");
        await _inside.SeeAsync("HTTP proxy ready on port 17080");
        await _inside.SeeAsync("warning: what runs already was started without the proxy's environment; new logins get it");
        Assert.Contains("http://localhost:17080", await _inside.ShellAsync(". /etc/profile; echo $HTTP_PROXY"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exit 3")]
    [InlineData("kill -9 $$")]
    [InlineData(null)]
    public async Task Under_a_policy_of_the_operators_a_proxy_that_does_not_come_up_is_fatal(string? proxy)
    {
        _inside.Prepare("mkdir -p $1/etc/discobot; echo 'allowlist: {enabled: true, domains: []}' > $1/etc/discobot/policy.yaml");
        if (proxy is null)
            _inside.Prepare("rm $1/opt/discobot/bin/proxy");
        else
            _inside.Program("/opt/discobot/bin/proxy", proxy);
        _inside.Agent("echo AGENT RUNS; exit 0");
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains("error: HTTP proxy failed: /etc/discobot/policy.yaml rules this container, which must not run without its proxy\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("AGENT RUNS", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Docker_daemon_that_fails_once_is_started_again()
    {
        _inside.Program("/usr/local/bin/dockerd", "[ -e /tmp/once ] || { : > /tmp/once; exit 3; }\n" + DockerDaemonTests.Daemon);
        _inside.Agent("sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("warning: Docker daemon did not become ready: it ended with exit code 3");
        await _inside.SeeAsync("Docker daemon ready\n");
    }

    /// <summary>Another container's proxy holds the ports, as in a pod: not this one's, whatever number its process has.</summary>
    [Fact]
    public async Task A_proxy_of_another_container_on_the_same_ports_is_not_ours_for_the_start_nor_for_health()
    {
        _inside.Program("/opt/discobot/bin/proxy", "[ -e /tmp/served ] || { : > /tmp/served; DISCOBOT_START_TOKEN=other setsid /opt/discobot/lib/discobot proxy \"$@\" & until nc -z 127.0.0.1 17080 && nc -z 127.0.0.1 17081; do sleep 0.05; done; }; echo pid $$; " + Proxy);
        _inside.Agent("""
            for i in $(seq 100); do said=$(/opt/discobot/lib/discobot health 2>&1); code=$?; case $said in *"not this container's"*) break;; esac; sleep 0.1; done
            echo "$said"; echo health $code; echo agent has $HTTP_PROXY.; exit 0
            """);
        await _inside.RunAsync();
        Assert.DoesNotContain("HTTP proxy ready", _inside.Output, StringComparison.Ordinal);
        foreach (var line in new[] { "discobot health: the proxy that answers is not this container's: another container shares its network\n", "health 1\n", "agent has .\n" })
            Assert.Contains(line, _inside.Said, StringComparison.Ordinal);
    }
}
