using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Commands;

/// <summary>The gateway between an agent's network and the world outside, as a program of the agent's meets it that knows of no proxy.</summary>
public sealed class GatewayCommandTests : IDisposable
{
    private readonly GatewayNetwork _network = new();

    private string Trust => $"curl -sS -m 5 -o {_network.At("trusted.crt")} http://{GatewayNetwork.Address}:17081/ca.crt; export CURL_CA_BUNDLE={_network.At("trusted.crt")}; ";

    public void Dispose() => _network.Dispose();

    [Fact]
    public async Task What_is_allowed_is_reached_by_its_name_over_either_family_and_what_is_not_is_told_why()
    {
        await _network.StartAsync();
        foreach (var family in (string[])["-4", "-6"])
        {
            Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync($"curl -sS -m 9 {family} http://allowed.test/"));
            Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync(Trust + $"curl -sS -m 9 {family} https://allowed.test/"));
            Assert.Contains("not in allowlist.domains", await _network.AsAgentAsync($"curl -sS -m 9 {family} http://forbidden.test/"), StringComparison.Ordinal);
            Assert.Contains("not in allowlist.domains", await _network.AsAgentAsync(Trust + $"curl -sS -m 9 {family} https://forbidden.test/"), StringComparison.Ordinal);
        }

        Assert.DoesNotContain(_network.Names(), name => name.Contains("forbidden", StringComparison.Ordinal));
        Assert.Contains("discobot_bypass_refused_total 4\n", await _network.AsGatewayAsync("curl -sS http://127.0.0.1:17081/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Programs_that_use_the_proxy_find_it_at_its_address()
    {
        await _network.StartAsync();
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync(Trust + $"curl -sS -m 9 -x http://{GatewayNetwork.Address}:17080 https://allowed.test/"));
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync($"curl -sS -m 9 -x socks5h://[{GatewayNetwork.Address6}]:17080 http://allowed.test/"));
        Assert.Equal("403", await _network.AsAgentAsync($"curl -sS -m 9 -o /dev/null -w '%{{http_code}}' -x http://{GatewayNetwork.Address}:17080 http://forbidden.test/"));
    }

    [Theory]
    [InlineData(false, "setpriv --bounding-set -net_admin")]
    [InlineData(true, "")]
    public async Task Nothing_else_leaves_whatever_the_agent_tries(bool forwards, string under)
    {
        await _network.StartAsync(forwards: forwards, under: Words(under));
        await _network.AsGatewayAsync("for name in all default inside; do echo 0 > /proc/sys/net/ipv4/conf/$name/rp_filter; done");
        await _network.AsAgentAsync("""
            exec >/dev/null 2>&1
            for a in 203.0.113.1 10.55.0.1 8.8.8.8 2001:db8::1; do
                for p in 22 53 80 443 5432 8443; do timeout 1 bash -c "echo probe > /dev/tcp/$a/$p" & timeout 1 bash -c "echo probe > /dev/udp/$a/$p" & done
                ping -c 1 -W 1 $a & wait
            done
            for p in 22 53 8443; do timeout 1 bash -c "echo probe > /dev/udp/172.28.0.2/$p" & done; wait
            # By way of us, where the agent may change its routes: we forward nothing.
            ip route add default via 172.28.0.2; ip -6 route add default via fd00:28::2
            for p in 22 80 443; do timeout 1 bash -c "echo probe > /dev/tcp/203.0.113.1/$p" & timeout 1 bash -c "echo probe > /dev/udp/203.0.113.1/$p" & done; ping -c 1 -W 1 203.0.113.1; wait
            """);
        // From an address outside: an answer to that would leave. What the kernel itself answers, the packet filter alone keeps back.
        await _network.AsAgentAsync(FromOutside(forwards ? [53, 9999] : [53]));
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync("curl -sS -m 9 http://allowed.test/"));
        // Our question for its address, and the connection to it.
        Assert.All(_network.Packets(), packet => Assert.Contains(packet, (string[])["17 10.55.0.1 53", "6 10.55.0.1 80"]));
    }

    private static string FromOutside(int[] ports) => $$"""
        python3 - <<'END'
        import socket, struct
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        question = struct.pack("!HHHHHH", 7, 256, 1, 0, 0, 0) + b"\x05exfil\x06tunnel\x04test\0\0\1\0\1"
        for port in ({{string.Join(", ", ports)}},):
            for at in range(3):
                s.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(question), at, 0, 64, 17, 0, socket.inet_aton("10.55.0.1"), socket.inet_aton("172.28.0.2"))
                         + struct.pack("!HHHH", 4444, port, 8 + len(question), 0) + question, ("172.28.0.2", 0))
        END
        """;

    [Fact]
    public async Task A_program_that_names_no_host_reaches_the_only_one_that_may_be_meant()
    {
        await _network.StartAsync(options: ["--ports", "80,5432,15432"]);
        const string Ask = "curl -sS -m 5 telnet://database.test:5432 </dev/null 2>&1";
        Assert.Equal("greetings\n", await _network.AsAgentAsync(Ask));
        Assert.DoesNotContain("greetings", await _network.AsAgentAsync("curl -sS -m 5 telnet://database.test:15432 </dev/null 2>&1"), StringComparison.Ordinal);
        await _network.SeeAsync("it names no host and no rule lets it through");
    }

    [Fact]
    public async Task Where_several_may_be_meant_it_reaches_none_and_the_log_says_so()
    {
        await _network.StartAsync("allowlist: {enabled: true, allow_private: true, domains: [{host: '*.database.test', ports: [5432]}]}", ["--ports", "5432"]);
        Assert.Equal("greetings\n", await _network.AsAgentAsync("curl -sS -m 5 telnet://a.database.test:5432 </dev/null 2>&1"));
        Assert.DoesNotContain("greetings", await _network.AsAgentAsync("curl -sS -m 5 telnet://b.database.test:5432 </dev/null 2>&1"), StringComparison.Ordinal);
        Assert.Contains("a.database.test b.database.test", await _network.SeeAsync("it names no host and the client has asked for several"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_it_is_not_to_be_enforced_what_is_neither_HTTP_nor_TLS_needs_no_entry_of_its_own()
    {
        await _network.StartAsync("allowlist: {enabled: true, allow_private: true, domains: [allowed.test]}", ["--ports", "5432", "--egress", "redirect"]);
        Assert.Equal("greetings\n", await _network.AsAgentAsync("curl -sS -m 5 telnet://allowed.test:5432 </dev/null 2>&1"));
    }

    [Fact]
    public async Task Agents_get_the_authority_and_change_nothing_without_the_token()
    {
        await _network.StartAsync(isApiOpen: true);
        async Task<string> Status(string request) => await _network.AsAgentAsync($"curl -sS -m 5 -o /dev/null -w '%{{http_code}}' http://{GatewayNetwork.Address}:17081{request}");
        Assert.StartsWith("-----BEGIN CERTIFICATE-----", await _network.AsAgentAsync($"curl -sS -m 5 -H 'Host: gateway' http://{GatewayNetwork.Address}:17081/ca.crt"), StringComparison.Ordinal);
        Assert.Equal("200", await Status("/health"));
        foreach (var request in (string[])["/api/config", "/api/config -X PATCH -d {}", "/api/cache -X DELETE", "/metrics", "/api/explain?url=http://a/"])
            Assert.Equal("401", await Status(request));
        Assert.Equal("200", await Status($"/api/config -H \"Authorization: Bearer $(cat {_network.At("api.token")})\""));
        // Nor by way of the proxy, which may reach its own loopback.
        foreach (var way in (string[])[$"-x http://{GatewayNetwork.Address}:17080 http://127.0.0.1:17081/api/cache", $"--connect-to ::{GatewayNetwork.Address}:80 http://127.0.0.1/", $"--resolve localhost:80:{GatewayNetwork.Address} http://localhost/"])
            Assert.Matches("403|508", await _network.AsAgentAsync($"curl -sS -m 5 -X DELETE -o /dev/null -w '%{{http_code}}' {way}"));
        Assert.Equal("200", await _network.AsGatewayAsync("curl -sS -m 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:17081/api/config"));
    }

    [Fact]
    public async Task It_ends_in_order_at_TERM_as_process_1()
    {
        await _network.StartAsync();
        _network.Send(Signal.Terminate);
        Assert.Equal((0, ""), await _network.EndAsync());
        Assert.Contains("stopped", await File.ReadAllTextAsync(_network.At("log")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_agents_route_leads_to_it_all_TCP_arrives_and_all_else_is_refused(bool forwards)
    {
        await _network.StartAsync(options: ["--routed", "--egress", "enforce"], isRouted: true, forwards: forwards);
        // Whichever address the client chose for the name, and whomever it asks.
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync("curl -sS -m 9 --resolve allowed.test:80:203.0.113.1 http://allowed.test/"));
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync(Trust + "curl -sS -m 9 https://allowed.test/"));
        Assert.Equal("greetings\n", await _network.AsAgentAsync("curl -sS -m 5 telnet://database.test:5432 </dev/null 2>&1"));
        Assert.Contains("not in allowlist.domains", await _network.AsAgentAsync("curl -sS -m 9 -H 'Host: forbidden.test' http://203.0.113.1:8080/"), StringComparison.Ordinal);
        var said = await _network.AsAgentAsync("""
            python3 - <<'END'
            import socket, time
            for family, to in ((2, "203.0.113.1"), (10, "2001:db8::1")):
                s = socket.socket(family, socket.SOCK_DGRAM); s.connect((to, 9)); s.settimeout(3); begun = time.time(); s.send(b"x")
                try: s.recv(1)
                except OSError as e: print(type(e).__name__, time.time() - begun < 1)
            END
            ping -c 1 -W 1 203.0.113.1 | grep -c -i filtered
            """);
        Assert.Equal("OSError True\nOSError True\n1\n", said.Replace("PermissionError", "OSError", StringComparison.Ordinal));
        Assert.All(_network.Packets(), packet => Assert.Contains(packet, (string[])["17 10.55.0.1 53", "6 10.55.0.1 80", "6 10.55.0.1 443", "6 10.55.0.1 5432"]));
    }

    /// <summary>Where it is not process 1, its machine stays and forwards.</summary>
    [Fact]
    public async Task A_gateway_that_is_killed_lets_nothing_through_and_the_next_one_serves()
    {
        await _network.StartAsync(options: ["--routed", "--egress", "enforce"], isRouted: true, forwards: true,
            under: ["sh", "-c", "\"$@\"; until [ -e \"$0\" ]; do sleep 0.05; done; \"$@\"", _network.At("again")]);
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync("curl -sS -m 9 http://allowed.test/"));
        Assert.Equal("", await _network.AsGatewayAsync("pkill -KILL -x discobot; while pgrep -x discobot >/dev/null; do sleep 0.05; done"));
        // Before Linux 6.9 no table outlives who has set it.
        if (Environment.OSVersion.Version >= new Version(6, 9))
        {
            await _network.AsAgentAsync("""
                exec >/dev/null 2>&1
                for p in 22 53 80 443; do timeout 1 bash -c "echo probe > /dev/tcp/203.0.113.1/$p"; timeout 1 bash -c "echo probe > /dev/udp/203.0.113.1/$p"; done
                ping -c 1 -W 1 203.0.113.1; ping -c 1 -W 1 2001:db8::1
                """);
            Assert.All(_network.Packets(), packet => Assert.Contains(packet, (string[])["17 10.55.0.1 53", "6 10.55.0.1 80"]));
        }

        await File.WriteAllTextAsync(_network.At("again"), "");
        await Eventually.TrueAsync(async () => await _network.AsAgentAsync("curl -sS -m 9 http://allowed.test/") == "hello allowed.test\n");
    }

    /// <summary>As Docker does it to a container's network that it is disconnected from and connected to again.</summary>
    [Theory]
    [InlineData(false, "setpriv --bounding-set -net_admin,-net_raw --inh-caps -all")]
    [InlineData(true, "")]
    public async Task An_interface_that_is_taken_away_and_comes_back_is_served_as_before(bool routed, string under)
    {
        await _network.StartAsync(options: routed ? ["--routed"] : [], isRouted: routed, under: Words(under));
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync("curl -sS -m 9 http://allowed.test/"));

        await _network.ReplaceAsync();
        foreach (var over in (string[])["", "options use-vc"])
        {
            await _network.AsAgentAsync($"echo '{over}' >> /etc/resolv.conf");
            await Eventually.TrueAsync(async () => await _network.AsAgentAsync("curl -sS -m 9 http://allowed.test/") == "hello allowed.test\n");
        }

        Assert.All(_network.Packets(), packet => Assert.Contains(packet, (string[])["17 10.55.0.1 53", "6 10.55.0.1 80"]));
    }

    [Fact]
    public async Task Options_and_keys_say_where_it_serves()
    {
        await _network.StartAsync(GatewayNetwork.Allowed + "\ngateway: {listen: 10.9.9.9, ports: [8000], dns_port: 5353}",
            ["--listen", "172.28.0.0/16, 10.55.0.7", "--ports", "80,8080", "--dns-port", "53", "--port", "3128"]);
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync("curl -sS -m 9 http://allowed.test/"));
        Assert.Equal("hello allowed.test\n", await _network.AsAgentAsync($"curl -sS -m 9 -x {GatewayNetwork.Address}:3128 http://allowed.test/"));
        Assert.Equal("502", await _network.AsAgentAsync("curl -sS -m 9 -o /dev/null -w '%{http_code}' http://allowed.test:8080/"));
        Assert.Equal("7\n", await _network.AsAgentAsync("curl -sS -m 9 https://allowed.test/ 2>/dev/null; echo $?"));
        Assert.Equal("7\n", await _network.AsAgentAsync($"curl -sS -m 9 http://[{GatewayNetwork.Address6}]/ 2>/dev/null; echo $?"));
    }

    [Fact]
    public async Task Names_are_answered_with_the_addresses_that_are_written()
    {
        await _network.StartAsync(GatewayNetwork.Allowed + "\ngateway: {addresses: [172.28.0.99]}");
        Assert.StartsWith("172.28.0.99 ", await _network.AsAgentAsync("getent ahostsv4 allowed.test | head -1"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("setpriv --bounding-set -net_bind_service", "", "denied. Ports below 1024 need root, the capability NET_BIND_SERVICE, or the setting net.ipv4.ip_unprivileged_port_start=0")]
    [InlineData("", "--ports 80,17080", "Stop what listens there, or choose other ports with --port, --api-port, --ports and --dns-port.")]
    [InlineData("", "--ports 80,53", "Stop what listens there, or choose other ports with --port, --api-port, --ports and --dns-port.")]
    [InlineData("", "--listen 10.99.0.0/16", "gateway.listen: this machine has no address in 10.99.0.0/16")]
    [InlineData("setpriv --bounding-set -net_admin", "", "--sysctl net.ipv4.ip_forward=0")]
    [InlineData("setpriv --bounding-set -net_admin", "--routed", "gateway.routed cannot be kept: nftables table inet discobot: Operation not permitted; run the container with --cap-add NET_ADMIN")]
    public async Task What_cannot_be_served_is_told_with_what_to_do(string under, string options, string says)
    {
        await _network.StartAsync(options: Words(options), forwards: true, under: Words(under), fails: true);
        var (code, errors) = await _network.EndAsync();
        Assert.Equal(1, code);
        Assert.Contains(says, errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--ports 80,http", "command line: --ports: must be a port from 1 to 65535, not \"http\"")]
    [InlineData("--listen gateway", "command line: --listen: must be an address or a network of this machine, as in 172.28.0.2 or 172.28.0.0/16, not \"gateway\"")]
    [InlineData("--dns-port 0", "command line: --dns-port: must be a whole number from 1 to 65535, not \"0\"")]
    public async Task What_is_mistyped_is_wrong_usage(string options, string says)
    {
        await _network.StartAsync(options: Words(options), fails: true);
        Assert.Equal((2, says), await _network.EndAsync() is var (code, errors) ? (code, errors.Trim().Split('\n')[0]) : default);
    }

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
