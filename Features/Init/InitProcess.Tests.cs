using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>The whole init as process 1, in namespaces.</summary>
public sealed class InitProcessTests : IDisposable
{
    private const string Nine = """
        export HTTP_PROXY=http://localhost:17080
        export HTTPS_PROXY=http://localhost:17080
        export ALL_PROXY=http://localhost:17080
        export NO_PROXY=localhost,127.0.0.1,::1,corp.example
        export http_proxy=http://localhost:17080
        export https_proxy=http://localhost:17080
        export all_proxy=http://localhost:17080
        export no_proxy=localhost,127.0.0.1,::1,corp.example
        export NODE_EXTRA_CA_CERTS=/.data/proxy/certs/ca.crt
        """;

    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task It_starts_in_the_documented_order_and_lines_and_ends_with_the_agents_code()
    {
        _inside.Variables["NO_PROXY"] = "corp.example";
        _inside.Agent("echo user $(id -u) in $(pwd -P); for v in HTTP_PROXY NO_PROXY all_proxy; do eval echo agent has $v=\\$$v; done; cat /etc/profile.d/discobot-proxy.sh; exit 7");
        Assert.True(await _inside.RunAsync() == 7, _inside.Output);
        InOrder(
            "base home completed", "workspace completed", "filesystem completed", "workspace link completed", "proxy config completed",
            "CA certificate and trust completed", "\ndiscobot-agent: found proxy at /opt/discobot/bin/proxy, starting HTTP proxy...\n",
            "\ndiscobot-agent: proxy started (pid=", "), waiting for health check...\n", "\ndiscobot-agent: HTTP proxy ready on port 17080\n",
            "Docker daemon completed", "agent-api completed", "startup completed", "user 1000 in /home/discobot/workspace",
            "agent-api ended with exit code 7", "proxy stopped, exit code 0", "stopped, exit code 7");
        Assert.Contains("agent has HTTP_PROXY=http://localhost:17080\nagent has NO_PROXY=localhost,127.0.0.1,::1,corp.example\n", _inside.Output, StringComparison.Ordinal);
        Assert.All(Nine.Split('\n'), line => Assert.Contains($"\n{line.TrimEnd()}\n", _inside.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task When_the_proxy_does_not_come_up_nothing_that_an_earlier_start_wrote_leads_to_it()
    {
        _inside.Prepare("printf 'mine=1\\n' > $1/etc/bash.bashrc; printf 'export HTTP_PROXY=http://localhost:17080\\n' > $1/etc/profile.d/discobot-proxy.sh");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("/etc/profile.d/discobot-proxy.sh", await File.ReadAllTextAsync(_inside.At("/etc/bash.bashrc")), StringComparison.Ordinal);
        Assert.True(File.Exists(_inside.At("/etc/profile.d/discobot-proxy.sh")));

        // Ended by itself, so that nobody waits ten seconds.
        _inside.Program("/opt/discobot/bin/proxy", "exit 3");
        _inside.Variables["HTTP_PROXY"] = "http://localhost:17080";
        _inside.Agent("env -u PWD > /tmp/env; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\ndiscobot-agent: proxy did not become ready: it ended with exit code 3\n", _inside.Output, StringComparison.Ordinal);
        Assert.Equal("mine=1\n", await File.ReadAllTextAsync(_inside.At("/etc/bash.bashrc")));
        Assert.False(File.Exists(_inside.At("/etc/profile.d/discobot-proxy.sh")));
        Assert.DoesNotContain("proxy", await File.ReadAllTextAsync(_inside.At("/tmp/env")), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_secret_of_the_operators_policy_is_for_the_proxy_alone()
    {
        _inside.Variables["TOKEN"] = "for-the-proxy";
        _inside.Prepare("mkdir -p $1/etc/discobot; echo 'headers: {h.example: {set: {Authorization: \"env:TOKEN\"}}}' > $1/etc/discobot/policy.yaml");
        _inside.Program("/opt/discobot/bin/proxy", "echo the proxy has $TOKEN; exec /opt/discobot/lib/discobot proxy \"$@\"");
        _inside.Agent("env > /tmp/env; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("the proxy has for-the-proxy\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("warning: the policy's secrets in TOKEN are for the proxy alone, but every `docker exec`", _inside.Output, StringComparison.Ordinal);
        var seen = await File.ReadAllTextAsync(_inside.At("/tmp/env"));
        Assert.Contains("HTTP_PROXY=", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("for-the-proxy", seen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_its_binary_the_proxy_is_not_started_and_the_container_works()
    {
        _inside.Prepare("rm $1/opt/discobot/bin/proxy");
        _inside.Agent("exit 5");
        Assert.True(await _inside.RunAsync() == 5, _inside.Output);
        Assert.Contains("\ndiscobot-agent: Proxy daemon not started: proxy binary not found at /opt/discobot/bin/proxy\n", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>On a volume that was somebody else's anything may stand in the place of the proxy's files.</summary>
    [Theory]
    [InlineData("certs/ca.crt certs/ca.key", "ca.crt is no regular file")]
    [InlineData("config.yaml", "HTTP proxy ready")]
    [InlineData("api.token", "is no regular file")]
    public async Task A_FIFO_in_the_place_of_a_file_of_the_proxys_holds_nothing_up(string files, string told)
    {
        _inside.Prepare($"mkdir -p $2/proxy/certs; cd $2/proxy; mkfifo {files}");
        _inside.Agent("exec sleep 1000");
        _inside.Start();
        await _inside.SeeAsync("startup completed");
        Assert.Contains("discobot-agent: HTTP proxy ready on port 17080\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains(told, _inside.Output, StringComparison.Ordinal);
        _inside.Send(Signal.Terminate);
        await _inside.EndAsync();
    }

    [Fact]
    public async Task No_file_grows_from_start_to_start()
    {
        const string Sizes = "cd $1/etc; wc -c hosts passwd group gitconfig profile profile.d/* bash.bashrc ssl/certs/ca-certificates.crt > $2/sizes";
        _inside.Prepare("printf '\\344' > $1/etc/bash.bashrc");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        _inside.Prepare(Sizes);
        var first = await File.ReadAllTextAsync(_inside.At("/.data/sizes"));
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        _inside.Prepare(Sizes);
        Assert.Equal(first, await File.ReadAllTextAsync(_inside.At("/.data/sizes")));
        Assert.Equal(0xE4, (await File.ReadAllBytesAsync(_inside.At("/etc/bash.bashrc")))[0]);
    }

    [Fact]
    public async Task Where_etc_cannot_be_written_the_proxy_runs_as_root_with_a_warning_and_is_watched_all_the_same()
    {
        _inside.Before = "mount --bind etc etc; mount -o remount,bind,ro etc";
        _inside.Agent("sleep 1000");
        _inside.Start();
        await _inside.SeeAsync("startup completed");
        Assert.Contains("warning: no user discobot-proxy could be made, the proxy runs as root: ", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("warning: login shells do not get the proxy's environment: ", _inside.Output, StringComparison.Ordinal);
        await _inside.InsideAsync("kill -9 " + _inside.Output.Split("proxy started (pid=")[1].Split(')')[0]);
        await _inside.SeeAsync("ended unexpectedly with exit code 137");
        await _inside.SeeAsync("HTTP proxy ready on port 17080", times: 2);
    }

    [Theory]
    [InlineData("SESSION_ID", "../x", "SESSION_ID is required: 1 to 128 letters")]
    [InlineData("AGENT_USER", "nobody-here", "AGENT_USER nobody-here is not in /etc/passwd")]
    [InlineData("DISCOBOT_STOP_BUDGET", "soon", "DISCOBOT_STOP_BUDGET must be a number of seconds between 1 and 3600")]
    public async Task A_wrong_input_ends_the_start_with_code_1_and_the_rule(string name, string value, string rule)
    {
        _inside.Variables[name] = value;
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains("discobot-agent: error: " + rule, _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_image_without_users_is_told_so()
    {
        _inside.Prepare("rm $1/etc/passwd $1/etc/group");
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains("error: AGENT_USER discobot is not in /etc/passwd\n", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_start_held_for_inspection_reaps_ignores_other_signals_and_ends_with_code_1()
    {
        _inside.Variables["SESSION_ID"] = "";
        _inside.Variables["DISCOBOT_DEBUG_HOLD"] = "1";
        _inside.Start();
        await _inside.SeeAsync("held for inspection");
        foreach (var signal in new[] { Signal.WindowChanged, Signal.Hangup, Signal.User1, Signal.Child })
            _inside.Send(signal);
        await _inside.InsideAsync("for i in 1 2 3 4 5; do (true &); done; sleep 0.3");
        Assert.Equal("0\n", await _inside.InsideAsync("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"));
        _inside.Send(Signal.Terminate);
        Assert.Equal(1, await _inside.EndAsync());
    }

    private void InOrder(params string[] texts)
    {
        var at = texts.Select(text => _inside.Output.IndexOf(text, StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), _inside.Output);
    }
}
