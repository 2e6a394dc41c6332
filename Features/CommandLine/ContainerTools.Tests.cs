using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine;

/// <summary>The whole init in namespaces with other ports than the usual ones: the tools inside, as root and as the agent's user.</summary>
public sealed class ContainerToolsTests : IDisposable
{
    private const string AsAgent = "setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/home/discobot ";
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task The_tools_speak_of_what_runs_as_root_and_as_the_agent()
    {
        _inside.Agent("exec sleep 1000");
        _inside.Prepare("""
            mkdir -p $1/source/.discobot/proxy
            printf 'proxy: {port: 18080, api_port: 18081}\nallowlist: {mode: learn, domains: runs.example}\n' > $1/source/.discobot/proxy/config.yaml
            """);
        _inside.Variables["WORKSPACE_PATH"] = "/source";
        // Both are what the start takes no notice of.
        _inside.Variables["CERT_DIR"] = "/nowhere";
        _inside.Variables["CONFIG_FILE"] = "/nowhere/config.yaml";
        _inside.Start();
        await _inside.SeeAsync("startup completed");
        foreach (var user in (string[])["", AsAgent])
        {
            Assert.StartsWith("# in force at http://127.0.0.1:18081/\nproxy:\n  port: 18080\n", await RunAsync(user, "config show"), StringComparison.Ordinal);
            Assert.Contains("certificate  /.data/proxy/certs/ca.crt\n", await RunAsync(user, "ca show"), StringComparison.Ordinal);
            Assert.StartsWith("the CA is trusted", await RunAsync(user, "trust status"), StringComparison.Ordinal);
            Assert.StartsWith("hits ", await RunAsync(user, "cache stats"), StringComparison.Ordinal);
            Assert.StartsWith("ok (pid ", await RunAsync(user, "health"), StringComparison.Ordinal);
            Assert.Contains("(mode learn)", await RunAsync(user, "explain http://runs.example/"), StringComparison.Ordinal);
            // The doctor's own traffic comes after root has asked.
            Assert.Contains(user.Length == 0 ? "nothing has passed the proxy in learn mode yet" : "127.0.0.1", await RunAsync(user, "allowlist export"), StringComparison.Ordinal);
            Assert.Contains("127.0.0.1:18081 accepts", await RunAsync(user, "doctor --url http://127.0.0.1:1/"), StringComparison.Ordinal);
            Assert.Contains("Connection refused (127.0.0.1:9)", await RunAsync(user + "env API_PORT=9 ", "health"), StringComparison.Ordinal);
            Assert.Contains("Connection refused (127.0.0.1:9)", await RunAsync(user, "health --api 127.0.0.1:9"), StringComparison.Ordinal);
            await _inside.InsideAsync("printf 'proxy: {api_port: 9}\\n' > /tmp/other.yaml");
            Assert.Contains("Connection refused (127.0.0.1:9)", await RunAsync(user, "health --config /tmp/other.yaml"), StringComparison.Ordinal);
            Assert.Contains("Connection refused (127.0.0.1:9)", await RunAsync(user + "env CONFIG_FILE=/tmp/other.yaml ", "cache stats"), StringComparison.Ordinal);
        }

        Assert.StartsWith("/.data/proxy/cache: 0 entries", await RunAsync("", "cache verify"), StringComparison.Ordinal);
        // What another user may not do is told where it is written.
        await _inside.InsideAsync("mkdir -m 700 /tmp/closed; printf 'logging: {file: /tmp/closed/log}\\ntls: {extra_ca: /etc/key}\\n' > /tmp/c.yaml; : > /etc/key; chmod 600 /etc/key");
        var refused = "/tmp/c.yaml:1:17: logging.file: /tmp/closed/log cannot be made: this user may not write into /tmp/closed\n"
            + "/tmp/c.yaml:2:17: tls.extra_ca: /etc/key may not be read by this user\n";
        Assert.Equal(refused + "2 mistakes\n2\n", await RunAsync(AsAgent, "config check /tmp/c.yaml") + await CodeAsync(AsAgent, "config check /tmp/c.yaml"));
        Assert.Equal(refused.TrimEnd() + "\n", await RunAsync(AsAgent + "env -u CERT_DIR ", "proxy --config /tmp/c.yaml"));
        Assert.Equal("2\n", await CodeAsync(AsAgent + "env -u CERT_DIR ", "proxy --config /tmp/c.yaml"));
        // Where a directory lies that nobody named depends on who starts the proxy.
        await _inside.InsideAsync("printf 'proxy: {port: 1}\\n' > /tmp/plain.yaml");
        Assert.Equal("/tmp/plain.yaml: ok\n", await RunAsync(AsAgent, "config check /tmp/plain.yaml"));
    }

    private Task<string> RunAsync(string user, string command) => _inside.InsideAsync($"{user}/opt/discobot/lib/discobot {command}");

    private Task<string> CodeAsync(string user, string command) => _inside.InsideAsync($"{user}/opt/discobot/lib/discobot {command} > /dev/null 2>&1; echo $?");
}
