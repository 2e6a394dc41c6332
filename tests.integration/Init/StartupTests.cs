using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>The seed's start-up flow and its troubleshooting section, on each distribution.</summary>
public sealed class StartupTests
{
    private const string ShowEnvironment = "env | grep -iE '^(http|https|all|no)_proxy=|^NODE_EXTRA' | sort; echo user $(id -u) in $(pwd -P); exit 7";

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task Everything_starts_in_order_and_the_containers_exit_code_is_the_agents(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Agent(ShowEnvironment);
        Assert.Equal(7, await container.RunAsync());
        var log = await container.OutputAsync();
        string[] order =
        [
            "base home completed", "workspace completed", "filesystem completed", "workspace link completed", "proxy config completed",
            "CA certificate and trust completed", "discobot-agent: found proxy at /opt/discobot/bin/proxy, starting HTTP proxy...\n",
            "discobot-agent: proxy started (pid=", "), waiting for health check...\n", "discobot-agent: HTTP proxy ready on port 17080\n",
            "Docker daemon completed", "agent-api completed", "startup completed", "agent-api ended with exit code 7", "proxy stopped",
        ];
        var at = order.Select(line => log.IndexOf(line, StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), log);
        Assert.Contains("user 1000 in /home/discobot/workspace", log, StringComparison.Ordinal);
        Assert.Contains("the CA is trusted", log, StringComparison.Ordinal);
        Assert.All(ProxyVariables.Nine, variable => Assert.Contains($"\n{variable}\n", log, StringComparison.Ordinal));
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Without_the_proxys_binary_the_container_works_and_no_variable_is_set(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("rm /opt/discobot/bin/proxy; mkdir -p /etc/profile.d; echo export HTTP_PROXY=http://localhost:17080 > /etc/profile.d/discobot-proxy.sh");
        container.Agent("ls /etc/profile.d; env; env -i sh -l -c env; " + ShowEnvironment);
        Assert.Equal(7, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("discobot-agent: Proxy daemon not started: proxy binary not found at /opt/discobot/bin/proxy\n", log, StringComparison.Ordinal);
        Assert.Contains("\nHOME=/home/discobot\n", log, StringComparison.Ordinal);
        Assert.DoesNotContain("PROXY=", log, StringComparison.OrdinalIgnoreCase);
        foreach (var name in new[] { "NODE_", "CERT", "CA_", "JAVA_", "UV_" })
            Assert.False(log.Split('\n').Any(line => line.Contains(name, StringComparison.Ordinal) && line.Contains('=', StringComparison.Ordinal)), log);
        Assert.DoesNotContain("\ndiscobot-proxy.sh\n", log, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_taken_port_17081_is_named_and_the_container_works_without_the_proxy(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        // Whoever holds it answers /health as well as ours would, and is another process.
        container.Prepare("""
            printf 'proxy: { port: 18080 }\napi: { token_file: /tmp/held/token }\ntls: { cert_dir: /tmp/held }\ncache: { enabled: false }\n' > /tmp/held.yaml
            /opt/discobot/bin/discobot proxy -config /tmp/held.yaml > /dev/null &
            until /opt/discobot/bin/discobot health; do sleep 0.05; done
            """);
        container.Agent(ShowEnvironment);
        Assert.Equal(7, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("17081", log[log.IndexOf("waiting for health check", StringComparison.Ordinal)..], StringComparison.Ordinal);
        Assert.Contains("proxy did not become ready: it ended with exit code 1", log, StringComparison.Ordinal);
        Assert.DoesNotContain("HTTP_PROXY", log, StringComparison.Ordinal);
    }

    /// <summary>All three at once: each takes its ten seconds.</summary>
    [Fact]
    public Task A_proxy_that_never_gets_ready_is_killed_after_ten_seconds()
        => Task.WhenAll(NeverReadyAsync(Distro.Debian), NeverReadyAsync(Distro.Alpine), NeverReadyAsync(Distro.Fedora));

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_proxy_that_is_killed_is_told_of_and_started_again(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        await container.StartAsync();
        var log = await container.SeeAsync("startup completed");
        await container.ExecAsync("kill", "-9", log[(log.IndexOf("proxy started (pid=", StringComparison.Ordinal) + 19)..].Split(')')[0]);
        log = await container.SeeAsync("HTTP proxy ready", 2);
        await container.ExecAsync("/opt/discobot/bin/discobot", "health");
        await container.SendAsync("TERM");
        // The agent is an sh that TERM ends.
        Assert.Equal(143, await container.EndAsync());
        Assert.Contains("ended unexpectedly with exit code 137", await container.OutputAsync(), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_crash_of_the_agent_is_the_containers_exit_code(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Agent("kill -SEGV $$");
        Assert.Equal(139, await container.RunAsync());
        Assert.Contains("agent-api ended with exit code 139", await container.OutputAsync(), StringComparison.Ordinal);
        container.Agent("exit 3");
        Assert.Equal(3, await container.RunAsync());
    }

    [Theory]
    [InlineData("SESSION_ID", "../x")]
    [InlineData("AGENT_USER", "nobody-here")]
    [InlineData("AGENT_BINARY", "/opt/none")]
    [InlineData("WORKSPACE_PATH", "/no/such/place")]
    public async Task A_wrong_input_ends_the_start_with_code_1_and_names_it(string name, string value)
    {
        await using var container = new SessionContainer(Distro.Debian);
        container.Environment[name] = value;
        Assert.Equal(1, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("error: ", log, StringComparison.Ordinal);
        Assert.Contains(name == "AGENT_BINARY" ? value : name, log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failed_start_is_held_when_asked_for_and_ends_with_code_1()
    {
        await using var container = new SessionContainer(Distro.Debian);
        container.Environment["SESSION_ID"] = "";
        container.Environment["DISCOBOT_DEBUG_HOLD"] = "1";
        await container.StartAsync();
        await container.SeeAsync("held for inspection");
        foreach (var signal in new[] { "WINCH", "HUP", "CHLD" })
            await container.SendAsync(signal);
        Assert.Equal(0, (await container.TryAsync("true")).Code);
        var watch = Stopwatch.StartNew();
        await container.SendAsync("TERM");
        Assert.Equal(1, await container.EndAsync());
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(8));
    }

    private static async Task NeverReadyAsync(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("rm /opt/discobot/bin/proxy");
        container.Program("/opt/discobot/bin/never", "exec sleep 1000");
        container.Prepare("mv /opt/discobot/bin/never /opt/discobot/bin/proxy");
        container.Agent("for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $p; echo; done; " + ShowEnvironment);
        Assert.Equal(7, await container.RunAsync());
        var log = await container.OutputAsync();
        // The start tries twice before the agent gets its turn. The runtime's timers may be a millisecond early.
        var before = log[..log.IndexOf("] HTTP proxy completed", StringComparison.Ordinal)];
        Assert.Equal(2, before.Split("discobot-agent: proxy did not become ready: timeout waiting for proxy health check\n").Length - 1);
        Assert.InRange(SecondsOf("HTTP proxy", log), 17, 30);
        Assert.Contains("discobot init", log, StringComparison.Ordinal);
        // Those two were ended; the next try may have begun.
        Assert.InRange(log.Split("sleep 1000").Length - 1, 0, 1);
        Assert.DoesNotContain("HTTP_PROXY", log, StringComparison.Ordinal);
    }

    private static double SecondsOf(string step, string log)
    {
        var line = log.Split('\n').Single(l => l.EndsWith($"] {step} completed", StringComparison.Ordinal));
        return double.Parse(line.Split('[')[1].Split('s')[0], System.Globalization.CultureInfo.InvariantCulture);
    }
}
