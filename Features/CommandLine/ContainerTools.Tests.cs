using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine;

/// <summary>The whole init in namespaces with other ports than the usual ones: the tools inside, as root and as the agent's user.</summary>
public sealed class ContainerToolsTests : IDisposable
{
    private const string AsAgent = "setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/home/discobot ";
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
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
        _inside.Environment["WORKSPACE_PATH"] = "/source";
        // Both are what the start takes no notice of.
        _inside.Environment["CERT_DIR"] = "/nowhere";
        _inside.Environment["CONFIG_FILE"] = "/nowhere/config.yaml";
        await _inside.StartAsync();
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
            await _inside.ShellAsync("printf 'proxy: {api_port: 9}\\n' > /tmp/other.yaml");
            Assert.Contains("Connection refused (127.0.0.1:9)", await RunAsync(user, "health --config /tmp/other.yaml"), StringComparison.Ordinal);
            Assert.Contains("Connection refused (127.0.0.1:9)", await RunAsync(user + "env CONFIG_FILE=/tmp/other.yaml ", "cache stats"), StringComparison.Ordinal);
        }

        Assert.StartsWith("/.data/proxy/cache: nothing is stored yet", await RunAsync("", "cache verify"), StringComparison.Ordinal);
        // What another user may not do is told where it is written.
        await _inside.ShellAsync("mkdir -m 700 /tmp/closed; printf 'logging: {file: /tmp/closed/log}\\ntls: {extra_ca: /etc/key}\\n' > /tmp/c.yaml; : > /etc/key; chmod 600 /etc/key");
        var refused = "/tmp/c.yaml:1:17: logging.file: /tmp/closed/log cannot be made: this user may not write into /tmp/closed: let it (chown, chmod), or name another directory\n"
            + "/tmp/c.yaml:2:17: tls.extra_ca: /etc/key may not be read by this user\n";
        Assert.Equal(refused + "2 mistakes\n2\n", await RunAsync(AsAgent, "config check /tmp/c.yaml") + await CodeAsync(AsAgent, "config check /tmp/c.yaml"));
        Assert.Equal(refused.TrimEnd() + "\n", await RunAsync(AsAgent + "env -u CERT_DIR ", "proxy --config /tmp/c.yaml"));
        Assert.Equal("2\n", await CodeAsync(AsAgent + "env -u CERT_DIR ", "proxy --config /tmp/c.yaml"));
        // Where a directory lies that nobody named depends on who starts the proxy.
        await _inside.ShellAsync("printf 'proxy: {port: 1}\\n' > /tmp/plain.yaml");
        Assert.Equal("/tmp/plain.yaml: ok\n", await RunAsync(AsAgent, "config check /tmp/plain.yaml"));
    }

    [Fact]
    public async Task An_edit_of_the_policy_while_the_container_runs_is_told_to_who_looks()
    {
        _inside.Agent("exec sleep 1000");
        _inside.Environment["DISCOBOT_EGRESS"] = "open";
        _inside.Prepare("mkdir -p $1/etc/discobot; echo 'allowlist: {enabled: true, domains: [first.example]}' > $1/etc/discobot/policy.yaml");
        await _inside.StartAsync();
        await _inside.SeeAsync("startup completed");
        const string looks = "doctor --url http://127.0.0.1:1/ | grep 'proxy config'";
        Assert.DoesNotContain("policy", await RunAsync(AsAgent, "config show | head -n 2"), StringComparison.Ordinal);

        await _inside.ShellAsync("echo 'allowlist: {enabled: true, domains: [second.example]}' > /etc/discobot/policy.yaml; chmod 600 /etc/discobot/policy.yaml");
        foreach (var user in (string[])["", AsAgent])
        {
            Assert.Equal(
                "# in force at http://127.0.0.1:17081/\n# /etc/discobot/policy.yaml was written after the start: restart the container for it to count\n",
                await RunAsync(user, "config show | head -n 2"));
            Assert.Contains("first.example", await RunAsync(user, "config show"), StringComparison.Ordinal);
        }

        Assert.Matches("^FAIL +step +proxy config +/etc/discobot/policy\\.yaml was written after the start\n", await RunAsync(AsAgent, looks));
        // Who may not look into its directory does not take it for gone.
        await _inside.ShellAsync("chmod 700 /etc/discobot");
        Assert.DoesNotContain("policy.yaml", await RunAsync(AsAgent, "config show | head -n 2"), StringComparison.Ordinal);

        // The next start follows it.
        await _inside.SendAsync("TERM");
        await _inside.EndAsync();
        await _inside.StartAsync();
        await _inside.SeeAsync("startup completed");
        Assert.Contains("second.example", await RunAsync("", "config show"), StringComparison.Ordinal);
        Assert.StartsWith("ok ", await RunAsync("", looks), StringComparison.Ordinal);
    }

    private Task<string> RunAsync(string user, string command) => _inside.ShellAsync($"{user}/opt/discobot/lib/discobot {command}").WaitAsync(Limit);

    private Task<string> CodeAsync(string user, string command) => _inside.ShellAsync($"{user}/opt/discobot/lib/discobot {command} > /dev/null 2>&1; echo $?").WaitAsync(Limit);
}
