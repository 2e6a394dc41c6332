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
        _inside.Environment["NO_PROXY"] = "corp.example";
        _inside.Agent("echo user $(id -u) in $(pwd -P); for v in HTTP_PROXY NO_PROXY all_proxy; do eval echo agent has $v=\\$$v; done; cat /etc/profile.d/discobot-proxy.sh; exit 7");
        Assert.True(await _inside.RunAsync() == 7, _inside.Output);
        InOrder(
            "base home completed", "workspace completed", "filesystem completed", "workspace link completed", "proxy config completed",
            "CA certificate and trust completed", "\ndiscobot-agent: found proxy at /opt/discobot/bin/proxy, starting HTTP proxy...\n",
            "\ndiscobot-agent: proxy started (pid=", "), waiting for health check...\n", "\ndiscobot-agent: HTTP proxy ready on port 17080\n",
            "Docker daemon completed", "agent-api completed", "startup completed",
            "agent-api ended with exit code 7", "proxy stopped, exit code 0", "stopped, exit code 7");
        // What the agent says comes as it runs, which init does not wait for with its own lines.
        InOrder("agent-api started (pid=", "user 1000 in /home/discobot/workspace", "stopped, exit code 7");
        Assert.Contains("agent has HTTP_PROXY=http://localhost:17080\nagent has NO_PROXY=localhost,127.0.0.1,::1,corp.example\n", _inside.Said, StringComparison.Ordinal);
        Assert.All(Nine.Split('\n'), line => Assert.Contains($"\n{line.TrimEnd()}\n", _inside.Said, StringComparison.Ordinal));
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
        _inside.Environment["HTTP_PROXY"] = "http://localhost:17080";
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
        _inside.Environment["TOKEN"] = "for-the-proxy";
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
    public async Task The_agent_has_a_placeholder_the_proxy_the_secret_and_both_know_the_placeholder()
    {
        _inside.Environment["GITHUB_TOKEN"] = "for-the-proxy";
        _inside.Prepare("mkdir -p $1/etc/discobot; echo 'secrets: {github: {value: \"env:GITHUB_TOKEN\", hosts: [h.example], env: GITHUB_TOKEN}}' > $1/etc/discobot/policy.yaml");
        _inside.Agent("tr '\\0' '\\n' < /proc/self/environ > /tmp/env; . /etc/profile; echo login=$GITHUB_TOKEN >> /tmp/env; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        var seen = (await File.ReadAllTextAsync(_inside.At("/tmp/env"))).Split('\n');
        var placeholder = Assert.Single(seen, line => line.StartsWith("GITHUB_TOKEN=", StringComparison.Ordinal))["GITHUB_TOKEN=".Length..];
        Assert.Matches("^dbot-[0-9a-f]{32}$", placeholder);
        Assert.Contains($"login={placeholder}", seen);
        Assert.DoesNotContain(seen, line => line.Contains("for-the-proxy", StringComparison.Ordinal) || line.Contains("DISCOBOT_PLACEHOLDERS", StringComparison.Ordinal));
        Assert.Equal($"GITHUB_TOKEN={placeholder}\n", await File.ReadAllTextAsync(_inside.At("/.data/proxy/placeholders.env")));
    }

    /// <summary>It is run as the user who leaves by no rule, and calls others by name.</summary>
    [Fact]
    public async Task No_program_library_or_configuration_of_the_agents_is_found_by_a_program_that_says_a_secret()
    {
        _inside.Environment["PATH"] = "/home/discobot/.local/bin:/opt/tools:/usr/local/bin:/usr/bin:/bin";
        _inside.Environment["LD_LIBRARY_PATH"] = "/home/discobot/lib";
        _inside.Environment["PYTHONPATH"] = "/home/discobot/python";
        _inside.Environment["HOME"] = "/home/discobot";
        _inside.Environment["MINE"] = "kept";
        _inside.Environment["TOKEN"] = "of/home/discobot/own";
        _inside.Prepare("mkdir -p $1/opt/tools $1/etc/discobot; chown 1000:1000 $1/opt/tools; "
            + "echo 'secrets: {own: {command: [/usr/local/bin/token], hosts: [h.example], env: OWN}, other: {value: \"env:TOKEN\", hosts: [h.example]}}' > $1/etc/discobot/policy.yaml");
        foreach (var directory in new[] { "/home/discobot/.local/bin", "/opt/tools" })
            _inside.Program($"{directory}/date", "touch /tmp/was-here; exec /bin/date");
        _inside.Program("/usr/local/bin/token", "date > /dev/null; env > /tmp/new; mv /tmp/new /tmp/environment; echo a-token-of-a-program");
        _inside.Agent("i=0; while [ ! -e /tmp/environment ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.False(File.Exists(_inside.At("/tmp/was-here")));
        var environment = await File.ReadAllLinesAsync(_inside.At("/tmp/environment"));
        Assert.Contains("MINE=kept", environment);
        Assert.Contains("PATH=/usr/local/bin:/usr/bin:/bin", environment);
        Assert.Contains("TOKEN=of/home/discobot/own", environment);
        Assert.DoesNotContain(environment, line => line.Split('=')[0] is "HOME" or "LD_LIBRARY_PATH" or "PYTHONPATH" or "DISCOBOT_UNTRUSTED");
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
    [InlineData("learned.json cache/.index cache/.credentials cache/.lock cache/.owner", "HTTP proxy ready")]
    public async Task A_FIFO_in_the_place_of_a_file_of_the_proxys_holds_nothing_up(string files, string told)
    {
        _inside.Prepare($"mkdir -p $2/proxy/certs $2/proxy/cache; cd $2/proxy; mkfifo {files}");
        _inside.Agent("exec sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("startup completed");
        Assert.Contains("discobot-agent: HTTP proxy ready on port 17080\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains(told, _inside.Output, StringComparison.Ordinal);
        await _inside.SendAsync("TERM");
        await _inside.EndAsync();
    }

    /// <summary>In the image, or mounted: each costs what it is for, and a line.</summary>
    [Theory]
    [InlineData("etc/hosts", "warning: localhost name failed: /etc/hosts is no regular file")]
    [InlineData("etc/gitconfig", "warning: git safe directories failed: /etc/gitconfig is no regular file")]
    [InlineData("etc/profile", "warning: /etc/profile stays as it is, ")]
    [InlineData("etc/bash.bashrc", "warning: /etc/bash.bashrc stays as it is, ")]
    [InlineData("etc/resolv.conf", "HTTP proxy ready")]
    [InlineData("etc/os-release", "HTTP proxy ready")]
    [InlineData("etc/ssl/certs/ca-certificates.crt", "clients are pointed at /var/lib/discobot/ca-bundle.crt")]
    [InlineData("usr/local/share/ca-certificates/discobot-proxy-ca.crt", "HTTP proxy ready")]
    [InlineData("var/lib/discobot/ca-bundle.crt", "HTTP proxy ready")]
    [InlineData("etc/docker/daemon.json", "warning: /etc/docker/daemon.json is no regular file: the Docker daemon does without")]
    [InlineData("var/run/docker.pid", "removing stale /var/run/docker.pid")]
    [InlineData("var/run/docker/containerd/containerd.pid", "removing stale /var/run/docker/containerd/containerd.pid")]
    [InlineData("var/run/docker.sock", "Docker daemon ready")]
    [InlineData(".data/.locks/volume", "HTTP proxy ready")]
    [InlineData(".data/.locks/session-s1", "HTTP proxy ready")]
    [InlineData(".data/.agent", "HTTP proxy ready")]
    public Task A_FIFO_in_the_place_of_a_file_that_the_start_reads_holds_nothing_up(string file, string told) => StartsWithAsync("mkfifo", file, told);

    /// <summary>As the engine makes one for <c>-v FILE:FILE</c> when there is no such file on its host.</summary>
    [Theory]
    [InlineData("etc/hosts", "HTTP proxy ready")]
    [InlineData("etc/group", "warning: no user discobot-proxy could be made, the proxy runs as root: ")]
    [InlineData("etc/gitconfig", "warning: git safe directories failed: ")]
    [InlineData("etc/profile", "HTTP proxy ready")]
    [InlineData("etc/bash.bashrc", "HTTP proxy ready")]
    [InlineData("etc/resolv.conf", "HTTP proxy ready")]
    [InlineData("etc/ssl/certs/ca-certificates.crt", "clients are pointed at /var/lib/discobot/ca-bundle.crt")]
    [InlineData("etc/docker/daemon.json", "warning: /etc/docker/daemon.json is no regular file: the Docker daemon does without")]
    [InlineData(".data/proxy/config.yaml", "the proxy's configuration is kept in /run/discobot: ")]
    [InlineData(".data/.agent", "HTTP proxy ready")]
    public Task A_directory_in_the_place_of_a_file_costs_what_the_file_is_for(string file, string told) => StartsWithAsync("mkdir", file, told);

    private async Task StartsWithAsync(string make, string file, string told)
    {
        _inside.Program("/usr/local/bin/dockerd", DockerDaemonTests.Daemon);
        var at = file.StartsWith(".data/", StringComparison.Ordinal) ? "$2" + file[".data".Length..] : file.StartsWith("usr/local/", StringComparison.Ordinal) ? "$1/" + file["usr/".Length..] : "$1/" + file;
        _inside.Prepare($"mkdir -p \"$(dirname {at})\" $1/var/run; rm -f {at}; {make} {at}");
        _inside.Agent("echo agent has $HTTP_PROXY; exec sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("\nagent has http://localhost:17080\n");
        Assert.Contains(told, _inside.Output, StringComparison.Ordinal);
        Assert.Contains("Docker daemon ready\n", _inside.Output, StringComparison.Ordinal);
        if (file.EndsWith("daemon.json", StringComparison.Ordinal))
            Assert.Contains(" --config-file /run/discobot/daemon.json", await File.ReadAllTextAsync(_inside.At("/tmp/arguments")), StringComparison.Ordinal);
        await _inside.SendAsync("TERM");
        await _inside.EndAsync();
    }

    /// <summary>As with <c>docker run --read-only --tmpfs /tmp --tmpfs /run</c>, in an image that knows nothing of it.</summary>
    [Fact]
    public async Task On_a_read_only_root_the_session_works()
    {
        _inside.Program("/usr/local/bin/dockerd", DockerDaemonTests.Daemon.Replace("/var/run/", "/run/", StringComparison.Ordinal) + "\n");
        _inside.Prepare("mkdir -p $1/etc/docker; ln -s /run $1/var/run; echo '{}' > $1/etc/docker/daemon.json; mkdir -p $1/deps $1/home/discobot/workspace/deps; touch $1/deps/below");
        _inside.Before = "mount --rbind . .; cd \"$PWD\"; mount --bind deps home/discobot/workspace/deps; mount -o remount,bind,ro .; for d in tmp run; do mount -t tmpfs none $d; done";
        _inside.Agent("cd /workspace && touch here && echo agent has $HTTP_PROXY $(ls /home/discobot/workspace) $(ls deps) $(cat /etc/docker/daemon.json); exec sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent has http://localhost:17080 deps here below {}\n");
        Assert.Contains("Docker daemon ready\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("nested containers do not get the proxy", _inside.Output, StringComparison.Ordinal);
        Assert.Equal("written\n", await _inside.ShellAsync("touch /etc/docker/key.json && echo written"));
        Assert.Matches("\"name\": \"workspace link\",\\s+\"result\": \"ok\"", await _inside.ShellAsync("/opt/discobot/lib/discobot doctor --json --url http://nowhere.invalid/"));
        await _inside.SendAsync("TERM");
        await _inside.EndAsync();
    }

    /// <summary>Without these there is no start, and the first line says so.</summary>
    [Theory]
    [InlineData("etc/passwd", "error: AGENT_USER discobot cannot be looked up: /etc/passwd is no regular file")]
    [InlineData("etc/group", "error: AGENT_USER discobot cannot be looked up: /etc/group is no regular file")]
    [InlineData("etc/discobot/policy.yaml", "/etc/discobot/policy.yaml: is no regular file")]
    public async Task A_FIFO_in_the_place_of_a_file_that_no_start_can_do_without_is_told(string file, string told)
    {
        _inside.Prepare($"mkdir -p $1/etc/discobot; rm -f $1/{file}; mkfifo $1/{file}");
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains(told, _inside.Output, StringComparison.Ordinal);
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
        await _inside.StartAsync();
        await _inside.SeeAsync("startup completed");
        Assert.Contains("warning: no user discobot-proxy could be made, the proxy runs as root: ", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("warning: login shells do not get the proxy's environment: ", _inside.Output, StringComparison.Ordinal);
        await _inside.ShellAsync("kill -9 " + _inside.Output.Split("proxy started (pid=")[1].Split(')')[0]);
        await _inside.SeeAsync("ended unexpectedly with exit code 137");
        await _inside.SeeAsync("HTTP proxy ready on port 17080", times: 2);
    }

    /// <summary>A hook's, as it begins in the workspace: the proxy is started again all the same.</summary>
    [Fact]
    public async Task A_directory_that_does_not_answer_keeps_nobody_else_from_being_started()
    {
        _inside.Prepare("mkdir -p $2/discobot/workspace/.discobot/hooks");
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/a", "#---\n# type: session\n#---\necho runs; while [ ! -e /tmp/go ]; do sleep 0.05; done");
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/b", "#---\n# type: session\n#---\nexit 0");
        _inside.Prepare("chown -R 1000:1000 $2/discobot/workspace");
        _inside.Agent("exec sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("[a] runs");
        await _inside.ShellAsync("hung=/home/discobot/workspace\n" + Enclosure.MountHung + "\ntouch /tmp/go");
        await _inside.SeeAsync("hook a ended with exit code 0");
        // The second hook is on its way to the directory.
        await _inside.ShellAsync("for i in $(seq 300); do grep -q '[-]-chdir' /proc/[0-9]*/cmdline 2>/dev/null && exit; sleep 0.1; done; exit 1");
        await _inside.ShellAsync("kill -9 " + _inside.Output.Split("proxy started (pid=")[1].Split(')')[0]);
        await _inside.SeeAsync("HTTP proxy ready on port 17080", times: 2);
        await _inside.SendAsync("TERM");
        await _inside.EndAsync();
    }

    [Theory]
    [InlineData("SESSION_ID", "../x", "SESSION_ID must be another, as in -e SESSION_ID=NAME: 1 to 128 letters")]
    [InlineData("AGENT_USER", "nobody-here", "AGENT_USER nobody-here is not in /etc/passwd")]
    [InlineData("DISCOBOT_STOP_BUDGET", "soon", "DISCOBOT_STOP_BUDGET must be a number of seconds between 1 and 3600")]
    public async Task A_wrong_input_ends_the_start_with_code_1_and_the_rule(string name, string value, string rule)
    {
        _inside.Environment[name] = value;
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
        _inside.Environment["SESSION_ID"] = "";
        _inside.Environment["DISCOBOT_DEBUG_HOLD"] = "1";
        await _inside.StartAsync();
        await _inside.SeeAsync("held for inspection");
        foreach (var signal in new[] { Signal.WindowChanged, Signal.Hangup, Signal.User1, Signal.Child })
            await _inside.SendAsync(signal.Short());
        await _inside.ShellAsync("for i in 1 2 3 4 5; do (true &); done; sleep 0.3");
        Assert.Equal("0\n", await _inside.ShellAsync("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"));
        await _inside.SendAsync("TERM");
        Assert.Equal(1, await _inside.EndAsync());
    }

    private void InOrder(params string[] texts)
    {
        var at = texts.Select(text => _inside.Output.IndexOf(text, StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), _inside.Output);
    }
}
