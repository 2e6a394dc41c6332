using System.Text.Json;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Checks;

/// <summary>The command in the whole init in namespaces, where nothing outside can be reached: the clients get the proxy's own answer.</summary>
public sealed class DoctorTests : IDisposable
{
    private const string Command = "/opt/discobot/lib/discobot doctor --json --url http://nowhere.invalid/";
    private readonly Enclosure _inside = new();

    public DoctorTests() => _inside.Agent("exec sleep 1000");

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task Every_step_port_and_trust_store_of_a_good_start_is_told_to_work_and_what_a_client_got_is_told()
    {
        _inside.Environment["DISCOBOT_EGRESS"] = "open";
        await StartAsync();
        var findings = await LookAsync();
        string[] steps =
        [
            "localhost name", "git safe directories", "data directories", "base home", "workspace", "filesystem", "workspace link", "proxy config",
            "CA certificate", "proxy binary", "login shells", "agent-api",
        ];
        foreach (var name in steps.Select(s => "step " + s).Concat(["port proxy", "port API", "trust system"]))
            Assert.Equal("ok", findings[name].GetProperty("result").GetString());
        // Nothing is enforced, and no route leads anywhere.
        Assert.Equal("absent", findings["step way out"].GetProperty("result").GetString());
        Assert.StartsWith("held: 192.0.2.1:443", findings["egress TCP 443"].GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal("absent", findings["step cache mounts"].GetProperty("result").GetString());
        Assert.Equal(("ok", "goes through the proxy"), (findings["client curl"].GetProperty("result").GetString(), findings["client curl"].GetProperty("detail").GetString()));
        Assert.Equal("ok", findings["port whose"].GetProperty("result").GetString());
    }

    /// <summary>A name without an address, an answer that is the proxy's own, a configuration that is not used, a hook that failed and one that
    /// asks for root, a Docker socket of a group without the agent, a bridge without a relay.</summary>
    [Fact]
    public async Task What_no_client_can_tell_is_told()
    {
        _inside.Prepare("mkdir -p $2/discobot/workspace/.discobot/hooks $2/discobot/workspace/.discobot/proxy; echo 'prozy: 1' > $2/discobot/workspace/.discobot/proxy/config.yaml");
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/h", "#---\n# type: session\n# blocking: true\n#---\nexit 4");
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/r", "#---\n# type: session\n# run_as: root\n# blocking: true\n#---\nexit 0");
        _inside.Program("/.data/discobot/workspace/.discobot/hooks/gone", "#---\n# type: session\n# blocking: true\n#---\nexit 5");
        _inside.Prepare("chown -R 1000:1000 $2/discobot/workspace");
        await StartAsync();
        await _inside.ShellAsync("""
            rm /workspace/.discobot/hooks/gone; mkdir -p /var/run; : > /var/run/docker.sock; chown 0:4242 /var/run/docker.sock; chmod 660 /var/run/docker.sock
            ip link add docker0 type bridge; ip address add 172.30.1.1/24 dev docker0
            """);
        var findings = await LookAsync();
        foreach (var (name, detail) in new[] { ("network DNS", "nowhere.invalid: "), ("network upstream", "is the proxy's own answer"), ("step proxy config", "prozy"), ("step hook h", "4"), ("step docker group", "4242"), ("network relay", "172.30.1.1") })
        {
            Assert.Equal("failed", findings[name].GetProperty("result").GetString());
            Assert.Contains(detail, findings[name].GetProperty("detail").GetString(), StringComparison.Ordinal);
            Assert.NotEqual("", findings[name].GetProperty("fix").GetString());
        }

        Assert.Equal("absent", findings["step hook r"].GetProperty("result").GetString());
        Assert.Contains("asks for root", findings["step hook r"].GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("step hook gone", findings.Keys);
    }

    /// <summary>The file may have Docker listen elsewhere, at several places, or by TCP alone.</summary>
    [Theory]
    [InlineData("unix:///run/d.sock", "/run/d.sock", "failed", "4242 of /run/d.sock")]
    [InlineData("unix:///run/gone.sock\", \"unix:///run/d.sock", "/run/d.sock", "failed", "4242 of /run/d.sock")]
    [InlineData("tcp://127.0.0.1:2375", "/run/d.sock", "absent", "tcp://127.0.0.1:2375")]
    [InlineData("unix:///run/gone.sock", "/var/run/docker.sock", "failed", "4242 of /var/run/docker.sock")]
    [InlineData("unix:///run/gone.sock", "/run/d.sock", "absent", "no Docker socket")]
    public async Task The_agents_right_to_use_Docker_is_asked_where_Docker_listens(string hosts, string socket, string result, string detail)
    {
        await StartAsync();
        await _inside.ShellAsync($$"""
            mkdir -p /etc/docker /var/run; echo '{"hosts": ["{{hosts}}"]}' > /etc/docker/daemon.json
            : > {{socket}}; chown 0:4242 {{socket}}; chmod 660 {{socket}}
            """);
        var found = (await LookAsync())["step docker group"];
        Assert.Equal(result, found.GetProperty("result").GetString());
        Assert.Contains(detail, found.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    /// <summary>A link that leads elsewhere, a profile that does not read ours, caches that nobody wants.</summary>
    [Fact]
    public async Task What_a_step_has_left_is_told_as_it_is_and_what_was_not_asked_for_is_not_missed()
    {
        _inside.Prepare("mkdir -p $1/shared $2/cache");
        _inside.Before = "mount --bind shared .data/cache";
        _inside.Environment["CACHE_ENABLED"] = "false";
        await StartAsync();
        await _inside.ShellAsync("ln -sfn /tmp /workspace; : > /etc/profile");
        var findings = await LookAsync();
        Assert.Equal(("failed", "/workspace leads to /tmp"), Told("workspace link"));
        Assert.Equal(("failed", "/etc/profile does not read /etc/profile.d/discobot-proxy.sh"), Told("login shells"));
        Assert.Equal(("absent", "CACHE_ENABLED is false"), Told("cache mounts"));

        (string?, string?) Told(string step) => (findings["step " + step].GetProperty("result").GetString(), findings["step " + step].GetProperty("detail").GetString());
    }

    [Theory]
    [InlineData("", "", "absent", "a client without a daemon", "an image with dockerd")]
    [InlineData("mkdir -p /var/run; : > /var/run/docker.sock", "", "failed", "no daemon here", "mounted here")]
    [InlineData("", "tcp://203.0.113.9:2375", "failed", "no daemon here", "DOCKER_HOST names tcp://203.0.113.9:2375")]
    [InlineData("printf '#!/bin/sh\\n' > /usr/local/sbin/dockerd; chmod 755 /usr/local/sbin/dockerd", "", "failed", "no daemon here", "lines of the Docker daemon")]
    public async Task A_Docker_client_without_a_daemon_is_told_by_what_is_missing(string beforehand, string host, string result, string detail, string fix)
    {
        _inside.Program("/usr/local/bin/docker", "echo no daemon here >&2; exit 1");
        // This machine's own.
        _inside.Before = "[ ! -e usr/sbin/dockerd ] || mount -t tmpfs none usr/sbin";
        await StartAsync();
        await _inside.ShellAsync($"true; {beforehand}");
        var found = (await LookAsync(host.Length > 0 ? $"DOCKER_HOST={host} " : ""))["client docker"];
        Assert.Equal(result, found.GetProperty("result").GetString());
        Assert.Contains(detail, found.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains(fix, found.GetProperty("fix").GetString(), StringComparison.Ordinal);
    }

    /// <summary>It could leave no word of itself, neither for root nor for the agent.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("/opt/discobot/lib/discobot exec --user discobot -- ")]
    public async Task On_a_read_only_root_without_a_run_of_its_own_it_says_that_the_start_told_nothing_and_what_helps(string user)
    {
        _inside.Before = "mount --rbind . .; cd \"$PWD\"; mount -o remount,bind,ro .; mount -t tmpfs none tmp";
        await StartAsync();
        Assert.Contains("tools are not told of this start", _inside.Output, StringComparison.Ordinal);
        var findings = await LookAsync(user);
        var steps = findings["step all"];
        Assert.Equal(("failed", "start the container with a /run that can be written: docker run --tmpfs /run"), (steps.GetProperty("result").GetString(), steps.GetProperty("fix").GetString()));
        Assert.EndsWith("/run/discobot is read-only. Steps and egress are not looked at", steps.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal("ok", findings["trust system"].GetProperty("result").GetString());
    }

    [Fact]
    public async Task At_a_terminal_the_log_that_is_to_be_read_is_the_file_it_is_in()
    {
        _inside.Terminal = true;
        await StartAsync();
        Assert.Equal("read the proxy's log, /.data/proxy/proxy.log", (await LookAsync())["network upstream"].GetProperty("fix").GetString());
    }

    [Fact]
    public async Task What_fails_has_a_fix_and_a_client_that_would_go_past_the_proxy_is_no_success()
    {
        _inside.Prepare("rm $1/opt/discobot/bin/proxy; printf '::1 localhost\\n' > $1/etc/hosts-later");
        await StartAsync();
        await _inside.ShellAsync("cat /etc/hosts-later > /etc/hosts; rm /workspace; /opt/discobot/lib/discobot trust remove");
        var findings = await LookAsync();
        foreach (var name in new[] { "step localhost name", "step workspace link", "step proxy binary", "step login shells", "port proxy", "port API", "trust system", "client curl" })
        {
            Assert.Equal("failed", findings[name].GetProperty("result").GetString());
            Assert.NotEqual("", findings[name].GetProperty("fix").GetString());
        }

        Assert.StartsWith("goes past the proxy: ", findings["client curl"].GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal("1\n", (await _inside.ShellAsync(Command + " > /dev/null; echo $?"))[^2..]);
    }

    private async Task StartAsync()
    {
        await _inside.StartAsync();
        await _inside.SeeAsync("startup completed");
    }

    private async Task<Dictionary<string, JsonElement>> LookAsync(string before = "")
    {
        var said = await _inside.ShellAsync(before + Command);
        Assert.True(said.StartsWith('['), $"{said}\n{_inside.Output}");
        return JsonDocument.Parse(said).RootElement.EnumerateArray().ToDictionary(f => $"{f.GetProperty("area").GetString()} {f.GetProperty("name").GetString()}");
    }
}
