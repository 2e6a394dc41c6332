using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Egress;

/// <summary>Enforced egress stays closed while its parts fail.</summary>
[Collection("egress")]
public sealed class FailureTests(EgressSessions sessions)
{
    private const string Allowed = "curl -sS -m 5 https://deep.allowed.test/";

    // Netfilter's message for it (linux/netfilter/nf_tables.h, NFT_MSG_DELTABLE): a table of any family, all of them without a name. Prints the error.
    private static string Delete(string table) => $$"""
        python3 - <<'END'
        import socket, struct
        name = {{table}}
        def message(kind, flags, body=b""): return struct.pack("=IHHIIBBH", 20 + len(body), kind, flags, 1, 0, 1 if name else 0, 0, socket.htons(10)) + body
        named = struct.pack("=HH", 4 + len(name) + 1, 1) + name + bytes(4 - len(name) % 4) if name else b""
        s = socket.socket(16, 3, 12)
        s.send(message(16, 1) + message(0xA02, 5, named) + message(17, 1))
        print(struct.unpack_from("=i", s.recv(4096), 16)[0])
        END
        """;

    // Five seconds of every kind of packet.
    private static string Storm(string outside) => $$"""
        exec 2>/dev/null; end=$(($(date +%s) + 5))
        while [ $(date +%s) -lt $end ]; do
            for a in {{outside}} {{Outside.Elsewhere}}; do
                timeout 1 bash -c "echo > /dev/tcp/$a/22" & timeout 1 bash -c "echo > /dev/udp/$a/53" & timeout 1 bash -c "echo > /dev/udp/$a/443" & curl -s -m 1 -H 'Host: forbidden.test' http://$a/ >/dev/null &
            done
            wait
        done; true
        """;

    [Fact]
    public async Task While_the_proxy_is_killed_reloaded_and_the_ruleset_flushed_nothing_leaves_and_then_all_works_again()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Enforced);
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;

        var storm = EgressSessions.AsAgentAsync(session, Storm(sessions.Outside.Address));
        await session.ShellAsync("kill -KILL $(pgrep -u discobot-proxy)");
        await storm;
        await session.SeeAsync("HTTP proxy ready on port", times: 2);
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));

        storm = EgressSessions.AsAgentAsync(session, Storm(sessions.Outside.Address));
        await session.ShellAsync("for i in $(seq 100); do kill -HUP $(pgrep -u discobot-proxy); sleep 0.02; done");
        await storm;
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));

        storm = EgressSessions.AsAgentAsync(session, Storm(sessions.Outside.Address));
        // Root with the container's own capabilities, as somebody with `docker exec` has them.
        Assert.Equal("-1\n", await session.ShellAsync(Delete("b'discobot'")));
        Assert.Equal("hello deep.allowed.test\n", await EgressSessions.AsAgentAsync(session, Allowed));
        // From here on the world's own address has a name that is allowed.
        Assert.NotEqual(before, (await sessions.Outside.PacketsFromAsync(session)).Count);
        // This takes all the tables that can be taken, Docker's own resolver with them.
        Assert.Equal("0\n", await session.ShellAsync(Delete("b''")));
        await storm;
        await EgressSessions.AsAgentAsync(session, Storm(sessions.Outside.Address));
        Assert.DoesNotContain((await sessions.Outside.PacketsFromAsync(session)).Skip(before), packet => packet.Contains(Outside.Elsewhere, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nothing_leaves_from_the_first_moment_to_the_last()
    {
        await using var session = sessions.New(Distro.Debian, EgressSessions.Enforced);
        session.Agent($"trap '' TERM; while :; do timeout 1 bash -c 'echo > /dev/udp/{Outside.Elsewhere}/9' 2>/dev/null; timeout 1 bash -c 'echo > /dev/tcp/{Outside.Elsewhere}/9' 2>/dev/null; done");
        // Somebody as the agent's user, from before the first rule until the end.
        session.Prepare("(while :; do setpriv --reuid 1000 --clear-groups bash -c 'echo > /dev/udp/203.0.113.7/9; echo > /dev/udp/203.0.113.7/53' 2>/dev/null; sleep 0.02; done) & sleep 0.5");
        await session.StartAsync();
        await session.SeeAsync("egress rules completed");
        var before = await sessions.Outside.PacketsFromAsync(session);
        // That it would have been seen.
        Assert.Contains("17 203.0.113.7 9", before);
        await session.SeeAsync("startup completed");
        await Task.Delay(TimeSpan.FromSeconds(1));
        await session.SendAsync("TERM");
        await session.EndAsync();
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before.Count));
    }
}
