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
        await StartAsync();
        var findings = await LookAsync();
        string[] steps =
        [
            "localhost name", "git safe directories", "data directories", "base home", "workspace", "filesystem", "workspace link", "proxy config",
            "CA certificate", "proxy binary", "login shells",
        ];
        foreach (var name in steps.Select(s => "step " + s).Concat(["port proxy", "port API", "trust system"]))
            Assert.Equal("ok", findings[name].GetProperty("result").GetString());
        Assert.Equal("absent", findings["step cache mounts"].GetProperty("result").GetString());
        Assert.Equal("ok", findings["client curl"].GetProperty("result").GetString());
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
        await _inside.InsideAsync("""
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

    [Fact]
    public async Task What_fails_has_a_fix_and_a_client_that_would_go_past_the_proxy_is_no_success()
    {
        _inside.Prepare("rm $1/opt/discobot/bin/proxy; printf '::1 localhost\\n' > $1/etc/hosts-later");
        await StartAsync();
        await _inside.InsideAsync("cat /etc/hosts-later > /etc/hosts; rm /workspace; /opt/discobot/lib/discobot trust remove");
        var findings = await LookAsync();
        foreach (var name in new[] { "step localhost name", "step workspace link", "step proxy binary", "step login shells", "port proxy", "port API", "trust system", "client curl" })
        {
            Assert.Equal("failed", findings[name].GetProperty("result").GetString());
            Assert.NotEqual("", findings[name].GetProperty("fix").GetString());
        }

        Assert.Equal("goes past the proxy: HTTPS_PROXY does not name it", findings["client curl"].GetProperty("detail").GetString());
        Assert.Equal("1\n", (await _inside.InsideAsync(Command + " > /dev/null; echo $?"))[^2..]);
    }

    private async Task StartAsync()
    {
        _inside.Start();
        await _inside.SeeAsync("startup completed");
    }

    private async Task<Dictionary<string, JsonElement>> LookAsync()
        => JsonDocument.Parse(await _inside.InsideAsync(Command)).RootElement.EnumerateArray()
            .ToDictionary(f => $"{f.GetProperty("area").GetString()} {f.GetProperty("name").GetString()}");
}
