using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Egress;

/// <summary>Which mode is in force, and what the looser ones let out.</summary>
[Collection("egress")]
public sealed class ModeTests(EgressSessions sessions)
{
    private static readonly string[] NoNetwork = ["SYS_ADMIN"];

    /// <summary>The columns of the table of modes, with an allowlist that has one host.</summary>
    /// <param name="mode">Its row.</param>
    /// <param name="web">What a program that knows no proxy gets of a host that is not allowed.</param>
    /// <param name="rest">What leaves of its other attempts, by protocol and port.</param>
    [Theory]
    [InlineData("open", "hello forbidden.test", "6/80 6/5432 17/53 17/443 17/444 1/")]
    [InlineData("redirect", "not in allowlist.domains", "6/5432 17/444 1/")]
    [InlineData("enforce", "not in allowlist.domains", "")]
    public async Task Each_does_what_the_table_of_modes_says(string mode, string web, string rest)
    {
        await using var session = await sessions.StartAsync(Distro.Debian, $"egress:\n  mode: {mode}\nallowlist:\n  enabled: true\n  allow_private: true\n  domains: [allowed.test]\n");
        // A session that is gone may have had the same hardware address.
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;
        foreach (var way in (string[])["-x http://127.0.0.1:17080", "-x socks5h://127.0.0.1:17080"])
        {
            Assert.Equal("hello allowed.test\n", await EgressSessions.AsAgentAsync(session, $"curl -sS -m 9 {way} https://allowed.test/"));
            Assert.DoesNotContain("hello", await EgressSessions.AsAgentAsync(session, $"curl -sS -m 9 {way} http://forbidden.test/ 2>&1 || true"), StringComparison.Ordinal);
        }

        Assert.Contains(web, await EgressSessions.AsAgentAsync(session, $"curl -sS -m 9 -H 'Host: forbidden.test' http://{Outside.Elsewhere}/"), StringComparison.Ordinal);
        await EgressSessions.AsAgentAsync(session, $$"""
            python3 - <<'END'
            import socket
            to = "{{Outside.Elsewhere}}"
            question = b"\0\7\1\0\0\1\0\0\0\0\0\0\4mode\4test\0\0\1\0\1"
            for kind, protocol, port, data in ((1, 6, 5432, b""), (2, 17, 53, question), (2, 17, 443, b"x"), (2, 17, 444, b"x"), (2, 1, 0, b"\x08\0\xf7\xff\0\0\0\0")):
                s = socket.socket(2, kind, protocol); s.settimeout(1)
                try: s.connect((to, port)); s.send(data); s.recv(99)
                except OSError: pass
            END
            """);
        var packets = (await sessions.Outside.PacketsFromAsync(session)).Skip(before).Select(packet => packet.Split(' ')).Where(packet => packet[1] == Outside.Elsewhere);
        Assert.Equal(rest.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(), packets.Select(packet => packet[0] == "1" ? "1/" : $"{packet[0]}/{packet[2]}").Distinct().Order());
    }

    [Fact]
    public async Task A_program_that_binds_itself_to_the_uplink_is_led_and_so_is_one_that_chooses_an_address()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Redirected);
        var seen = 0;
        foreach (var name in (string[])["eth0", await session.AddressAsync()])
        {
            foreach (var family in (string[])["", "-4"])
            {
                Assert.Equal("hello allowed.test\n", await EgressSessions.AsAgentAsync(session, $"curl -sS -m 9 {family} --interface {name} https://allowed.test/"));
                await session.SeeAsync("host=allowed.test", times: ++seen);
            }
        }
    }

    [Fact]
    public async Task Redirected_web_requests_of_programs_that_know_no_proxy_are_seen_QUIC_is_refused_and_the_rest_goes_out()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Redirected);
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;
        Assert.Equal("hello forbidden.test\n", await EgressSessions.AsAgentAsync(session, "curl -sS https://forbidden.test/"));
        await session.SeeAsync("host=forbidden.test");
        Assert.Equal("greetings\n", await EgressSessions.AsAgentAsync(session, "python3 -c 'import socket; print(socket.create_connection((\"allowed.test\", 5432)).recv(99).decode(), end=\"\")'"));
        await session.SeeAsync(":5432 goes out past the proxy");
        await EgressSessions.AsAgentAsync(session, $"for p in 443 444; do bash -c 'echo > /dev/udp/{Outside.Elsewhere}/'$p; done");
        var packets = (await sessions.Outside.PacketsFromAsync(session)).Skip(before).ToList();
        Assert.Contains($"17 {Outside.Elsewhere} 444", packets);
        Assert.DoesNotContain($"17 {Outside.Elsewhere} 443", packets);
    }

    [Fact]
    public async Task Redirected_names_are_answered_of_every_kind()
    {
        await using var session = await sessions.StartAsync(Distro.Alpine, EgressSessions.Redirected);
        Assert.Contains("text", await EgressSessions.AsAgentAsync(session, "nslookup -type=txt _some.text.test"), StringComparison.Ordinal);
        Assert.Contains("_some.text.test", await sessions.Outside.NamesAsync());
    }

    [Fact]
    public async Task Enforced_they_are_answered_of_the_types_that_the_operator_named()
    {
        await using var session = await sessions.StartAsync(Distro.Alpine, EgressSessions.Enforced + "dns:\n  types: [TXT]\n");
        Assert.Contains("text", await EgressSessions.AsAgentAsync(session, "nslookup -type=txt _some.allowed.test"), StringComparison.Ordinal);
        Assert.DoesNotContain("text", await EgressSessions.AsAgentAsync(session, "nslookup -type=txt _some.tunnel.test 2>&1 || true"), StringComparison.Ordinal);
        Assert.DoesNotContain(await sessions.Outside.NamesAsync(), name => name.Contains("tunnel", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Redirected_TLS_without_a_name_reaches_the_address_it_was_for()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Redirected);
        Assert.Equal($"hello {Outside.Elsewhere}\n", await EgressSessions.AsAgentAsync(session, $"curl -sS https://{Outside.Elsewhere}/"));
    }

    [Fact]
    public async Task Without_the_right_to_set_rules_an_enforced_agent_does_not_start_and_a_redirected_one_is_told()
    {
        await using var enforced = sessions.New(Distro.Debian, EgressSessions.Enforced, capabilities: NoNetwork);
        Assert.Equal(1, await enforced.RunAsync());
        Assert.Contains("egress.mode enforce cannot be kept", await enforced.OutputAsync(), StringComparison.Ordinal);
        Assert.Contains("--cap-add NET_ADMIN", await enforced.OutputAsync(), StringComparison.Ordinal);

        await using var redirected = sessions.New(Distro.Debian, EgressSessions.Redirected, capabilities: NoNetwork);
        redirected.Agent("exit 0");
        Assert.Equal(0, await redirected.RunAsync());
        Assert.Contains("warning: programs that do not use the proxy go out directly", await redirected.OutputAsync(), StringComparison.Ordinal);
    }
}
