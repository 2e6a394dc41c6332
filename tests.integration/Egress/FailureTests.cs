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

    // Five seconds of every kind of packet, by a program that every distribution has.
    private static string Storm(string outside) => $$"""
        /clients/python - <<'END' >/dev/null 2>&1
        import socket, threading, time
        end = time.time() + 5
        def tries(address, kind, port, data):
            while time.time() < end:
                try:
                    s = socket.socket(socket.AF_INET, kind); s.settimeout(1); s.connect((address, port)); s.send(data); s.recv(9)
                except OSError: time.sleep(0.01)
        forbidden = b"GET / HTTP/1.0\r\nHost: forbidden.test\r\n\r\n"
        all = [(socket.SOCK_STREAM, 22, b""), (socket.SOCK_STREAM, 80, forbidden), (socket.SOCK_STREAM, 443, b"\x16"), (socket.SOCK_DGRAM, 53, b"x"), (socket.SOCK_DGRAM, 443, b"x"), (socket.SOCK_DGRAM, 9, b"x")]
        threads = [threading.Thread(target=tries, args=(a, *t)) for a in ("{{outside}}", "{{Outside.Elsewhere}}") for t in all]
        for t in threads: t.start()
        for t in threads: t.join()
        END
        true
        """;

    // BusyBox knows no process by its user.
    private static string ToProxy(string signal) =>
        $"for p in /proc/[0-9]*; do [ \"$(stat -c %U $p 2>/dev/null)\" != discobot-proxy ] || kill -{signal} ${{p#/proc/}}; done";

    public static TheoryData<Distro> Distros => [Distro.Debian, Distro.Alpine];

    [Theory, MemberData(nameof(Distros))]
    public async Task While_the_proxy_is_killed_and_reloaded_nothing_leaves_and_then_all_works_again(Distro distro)
    {
        await using var session = await sessions.StartAsync(distro, EgressSessions.Enforced);
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;

        var storm = EgressSessions.AsAgentAsync(session, Storm(sessions.Outside.Address));
        await session.ShellAsync(ToProxy("KILL"));
        await storm;
        await session.SeeAsync("HTTP proxy ready on port", times: 2);
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));

        storm = EgressSessions.AsAgentAsync(session, Storm(sessions.Outside.Address));
        await session.ShellAsync($"i=0; while [ $i -lt 100 ]; do {ToProxy("HUP")}; sleep 0.02; i=$((i + 1)); done");
        await storm;
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));
        Assert.Equal("hello deep.allowed.test\n", await EgressSessions.AsAgentAsync(session, "wget -q -O - http://deep.allowed.test/"));
    }

    [Fact]
    public async Task While_the_ruleset_is_flushed_nothing_leaves_and_then_all_works_again()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Enforced);
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;

        var storm = EgressSessions.AsAgentAsync(session, Storm(sessions.Outside.Address));
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

    [Theory, MemberData(nameof(Distros))]
    public async Task Nothing_leaves_from_the_first_moment_to_the_last(Distro distro)
    {
        await using var session = sessions.New(distro, EgressSessions.Enforced);
        session.Put("/tries.py", $$"""
            import os, signal, socket, sys, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.getuid() == 0: os.setgroups([]); os.setgid(1000); os.setuid(1000)
            while True:
                for kind, port in ((socket.SOCK_DGRAM, 9), (socket.SOCK_DGRAM, 53), (socket.SOCK_STREAM, 9)):
                    try:
                        s = socket.socket(socket.AF_INET, kind); s.settimeout(0.2); s.connect((sys.argv[1], port)); s.send(b"x")
                    except OSError: pass
                time.sleep(0.01)
            """);
        session.Agent($"exec /clients/python /tries.py {Outside.Elsewhere}");
        // Somebody as the agent's user, from before the first rule until the end.
        session.Prepare("/clients/python /tries.py 203.0.113.7 >/dev/null 2>&1 & sleep 0.5");
        await session.StartAsync();
        await session.SeeAsync("egress rules completed");
        var before = await sessions.Outside.PacketsFromAsync(session);
        // That it would have been seen.
        Assert.Contains("17 203.0.113.7 9", before);
        await session.SeeAsync("startup completed");
        // By time: that nothing gets out.
        await Task.Delay(TimeSpan.FromSeconds(1));
        await session.SendAsync("TERM");
        await session.EndAsync();
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before.Count));
    }
}
