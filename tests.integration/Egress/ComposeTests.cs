using System.Diagnostics;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Egress;

/// <summary>examples/compose as it stands, with the tests' world outside in the place of the internet: run by Compose, met by the agent.</summary>
public sealed class ComposeTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("compose-").FullName;
    private readonly string _project = $"discobot-{Guid.NewGuid():N}";
    private readonly TestAuthority _authority = new();
    private INetwork? _network;
    private Outside? _outside;

    public async Task InitializeAsync()
    {
        _network = await EgressSessions.CreateNetworkAsync();
        _outside = await Outside.StartAsync(_network, _authority);
        var example = Path.Combine(Binary.Checkout, "examples/compose");
        foreach (var file in Directory.EnumerateFiles(example))
            File.Copy(file, Path.Combine(_directory, Path.GetFileName(file)));
        var rules = Path.Combine(_directory, "gateway.yaml");
        await File.WriteAllTextAsync(rules, (await File.ReadAllTextAsync(rules)).Replace("- example.com", "- allowed.test", StringComparison.Ordinal)
            .Replace("  domains:", "  allow_private: true\n  domains:", StringComparison.Ordinal) + "tls:\n  extra_ca: [/upstream.crt]\n");
        await File.WriteAllTextAsync(Path.Combine(_directory, "upstream.crt"), _authority.RootPem);
        await File.WriteAllTextAsync(Path.Combine(_directory, "override.yaml"), $"""
            services:
              gateway:
                labels: [{Engine.Label}=1]
                volumes: ["./upstream.crt:/upstream.crt:ro"]
              agent:
                labels: [{Engine.Label}=1]
            networks:
              outside:
                external: true
                name: {_network.Name}
            """);
        await ComposeAsync("up", "-d");
        await AsAgentAsync("i=0; until [ -s /usr/local/share/ca-certificates/gateway.crt ] && [ \"$(cat /proc/1/comm)\" = sleep ] || [ $i = 300 ]; do sleep 0.1; i=$((i + 1)); done");
    }

    [Fact]
    public async Task An_agent_without_a_variable_or_a_right_reaches_what_is_allowed_and_nothing_else()
    {
        Assert.Equal("hello allowed.test\n", await AsAgentAsync("curl -sS -m 9 http://allowed.test/"));
        Assert.Equal("hello allowed.test\n", await AsAgentAsync("curl -sS -m 9 https://allowed.test/"));
        Assert.Contains("not in allowlist.domains", await AsAgentAsync("curl -sS -m 9 http://forbidden.test/"), StringComparison.Ordinal);
        Assert.Equal("403", await AsAgentAsync("curl -sS -m 9 -o /dev/null -w '%{http_code}' https://forbidden.test/"));
        Assert.Equal("hello allowed.test\n", await AsAgentAsync("curl -sS -m 9 -x http://gateway:17080 https://allowed.test/"));
        Assert.Equal("401", await AsAgentAsync("curl -sS -m 9 -X DELETE -o /dev/null -w '%{http_code}' http://172.30.17.2:17081/api/cache"));

        var before = (await OthersPacketsAsync()).Count;
        var said = await AsAgentAsync($$"""
            for a in {{_outside!.Address}} {{Outside.Elsewhere}} 172.30.17.1 {{Outside.Elsewhere6}}; do
                for p in 22 53 80 443 2375 5432 8443; do timeout 2 bash -c "exec 3<>/dev/tcp/$a/$p && echo LEAK tcp $a $p" & timeout 2 bash -c "echo probe > /dev/udp/$a/$p" & done 2>/dev/null
                wait; timeout 2 curl -sS -k https://$a/ 2>/dev/null; timeout 2 curl -sS http://$a/ 2>/dev/null
            done
            python3 - <<'END'
            import socket
            try: socket.socket(2, 2, 1).sendto(b"\x08\0\xf7\xff\0\0\0\0", ("{{Outside.Elsewhere}}", 0))
            except OSError: pass
            for kind, protocol in ((3, 1), (3, 255)):
                try: socket.socket(2, kind, protocol).sendto(b"\x08\0\xf7\xff\0\0\0\0", ("{{Outside.Elsewhere}}", 0)); print("LEAK", kind, protocol)
                except OSError: pass
            END
            ip route add default via 172.30.17.2 2>/dev/null && echo LEAK route
            for i in 1 2 3 4 5 6 7 8 9; do timeout 2 getent hosts data-$i.tunnel.test >/dev/null; done
            echo tried
            """);
        Assert.Equal("tried\n", said);
        Assert.Equal(before, (await OthersPacketsAsync()).Count);
        Assert.DoesNotContain(await _outside.NamesAsync(), name => name.Contains("tunnel", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_gateway_ends_in_order()
    {
        var gateway = await IdOfAsync("gateway");
        var watch = Stopwatch.StartNew();
        await Engine.DockerAsync("stop", gateway);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(9), $"{watch.Elapsed}");
        Assert.Equal("0\n", await Engine.DockerAsync("inspect", "-f", "{{.State.ExitCode}}", gateway));
    }

    public async Task DisposeAsync()
    {
        await ComposeAsync("down", "-v", "-t", "1");
        if (_outside is not null)
            await _outside.DisposeAsync();
        if (_network is not null)
            await _network.DeleteAsync();
        Directory.Delete(_directory, true);
    }

    // All that has arrived outside but from the gateway.
    private async Task<IReadOnlyList<string>> OthersPacketsAsync()
    {
        var gateway = (await Engine.DockerAsync("inspect", "-f", $"{{{{(index .NetworkSettings.Networks \"{_network!.Name}\").MacAddress}}}}", await IdOfAsync("gateway"))).Trim();
        return [.. (await _outside!.PacketsAsync()).Where(line => !line.StartsWith(gateway + " ", StringComparison.Ordinal))];
    }

    private async Task<string> AsAgentAsync(string script) => await Engine.DockerAsync(
        "exec", "-u", "discobot", await IdOfAsync("agent"), "env", "-i", "HOME=/home/discobot", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", script);

    private async Task<string> IdOfAsync(string service) =>
        (await Engine.DockerAsync("ps", "-aq", "--filter", $"label=com.docker.compose.project={_project}", "--filter", $"label=com.docker.compose.service={service}")).Trim();

    // The plugin of today, or the program that Debian packages.
    private async Task ComposeAsync(params string[] arguments)
    {
        using var asked = Process.Start(new ProcessStartInfo("docker", ["compose", "version"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        await asked.WaitForExitAsync();
        string[] options = ["-p", _project, "-f", "compose.yaml", "-f", "override.yaml", .. arguments];
        var info = asked.ExitCode == 0 ? new ProcessStartInfo("docker", ["compose", .. options]) : new ProcessStartInfo("docker-compose", options);
        (info.WorkingDirectory, info.RedirectStandardOutput, info.RedirectStandardError) = (_directory, true, true);
        using var compose = Process.Start(info)!;
        var said = await Task.WhenAll(compose.StandardOutput.ReadToEndAsync(), compose.StandardError.ReadToEndAsync());
        await compose.WaitForExitAsync();
        Assert.True(compose.ExitCode == 0, string.Concat(said));
    }
}
