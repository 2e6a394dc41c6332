using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Nftables;

/// <summary>What is sent from an address that is not the sender's. Where nothing is enforced the same does leave, which is how it is known to work.</summary>
public sealed class ImposturesTests
{
    private const uint Proxy = 4242;

    // IPV6_FREEBIND (78) takes no capability: somebody sends from an address outside to this machine, and something here answers.
    private const string FromOutside = """
        import socket, time
        own, world = "2001:db8::1", "2001:db8:1::9"
        answering = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); answering.bind((own, 5000)); answering.settimeout(1)
        serving = socket.socket(socket.AF_INET6); serving.bind((own, 5001)); serving.listen()
        for at, (kind, protocol, to) in enumerate(((2, 0, (own, 5000)), (2, 0, (own, 5999)), (2, 0, ("::1", 5000)), (2, 0, ("2001:db8:1::53", 53)), (1, 0, (own, 5001)), (1, 0, (own, 5999)),
                                                   (1, 0, ("2001:db8:1::7", 443)), (2, 0, ("2001:db8:1::7", 99)), (2, 58, (own, 0)), (1, 0, ("::1", 17082)))):
            try:
                s = socket.socket(socket.AF_INET6, kind, protocol); s.setblocking(False)
                s.setsockopt(41, 78, 1); s.bind((world, 0 if protocol else 4000 + at)); s.connect(to)
                s.send(b"\x80" + bytes(11) if protocol else b"data")
            except OSError:
                pass
        try:
            answering.sendto(b"data", (world, 4000))
        except OSError:
            pass
        """;

    // Who sends before the question comes is who is asked: 127.0.0.11 is anybody's to send from, and Docker lets everybody have port 53.
    private const string AsNameServer = """
        sysctl -qw net.ipv4.ip_unprivileged_port_start=0 net.ipv4.ip_local_port_range='40000 40099'
        nft -f - <<'END'
        table ip docker {
          chain out { type nat hook output priority -100; ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:40553; }
          chain post { type nat hook postrouting priority 100; ip saddr 127.0.0.11 udp sport 40553 snat to :53; }
        }
        END
        server() { setpriv --reuid $1 --clear-groups -- /usr/bin/python3 -c '
        import select, socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.11", int(sys.argv[1])))
        if sys.argv[1] == "53":
            for port in range(40000, 40100):
                try: s.sendto(b"early", ("127.0.0.1", port))
                except OSError: pass
        print("ready", flush=True)
        while select.select([s], [], [], 20)[0]:
            try: s.sendto(sys.argv[2].encode(), s.recvfrom(99)[1])
            except OSError: pass
        ' $2 $3; }
        rm -f $FILE; mkfifo $FILE; exec 3<>$FILE
        server 0 40553 docker >&3 & docker=$!; read ready <&3
        server 4343 53 impostor >&3 & impostor=$!; read ready <&3
        setpriv --reuid 4242 --clear-groups -- /usr/bin/python3 -c '
        import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect(("127.0.0.11", 53)); s.send(b"question"); print(s.recv(99).decode())'
        kill $docker $impostor
        """;

    // A container of the inner Docker sends raw frames: from its own address, and from one of the world outside.
    private const string FromContainer = """
        ip link add $BRIDGE address 02:00:00:00:00:0a type bridge; ip link add port type veth peer name container; ip link set port master $BRIDGE; ip link set port up
        ip address add 172.17.0.1/16 dev $BRIDGE; ip link set container up; ip link set $BRIDGE up
        sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.$BRIDGE.rp_filter=0 net.ipv4.conf.default.rp_filter=0
        cat > $FILE <<'END'
        import socket, struct
        served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); served.bind(("172.17.0.1", 5000)); served.settimeout(1)
        def checksum(data):
            total = sum(struct.unpack("!10H", data)); total = (total & 0xffff) + (total >> 16)
            return ~(total + (total >> 16)) & 0xffff
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); wire.bind(("container", 0))
        def send(source, data):
            head = lambda check: struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 1, 0, 64, 17, check, socket.inet_aton(source), socket.inet_aton("172.17.0.1"))
            wire.send(b"\x02\0\0\0\0\x0a\x02\0\0\0\0\x09" + b"\x08\0" + head(checksum(head(0))) + struct.pack("!HHHH", 4000, 5000, 8 + len(data), 0) + data)
        heard = {}
        # A port of a bridge passes nothing on until the kernel has seen that it is up.
        while b"own" not in heard:
            send("203.0.113.9", b"pretence"); send("172.17.0.2", b"own")
            try:
                while b"own" not in heard: data, sender = served.recvfrom(99); heard[data] = sender
            except OSError: pass
        print(" ".join(sorted((data.decode() for data in heard), reverse=True)))
        for sender in heard.values():
            try: served.sendto(b"data", sender)
            except OSError: pass
        END
        /usr/bin/python3 $FILE
        """;

    [Theory, InlineData("enforce"), InlineData("redirect")]
    public void Who_sends_from_an_address_outside_to_this_machine_gets_no_answer_sent_out(string mode) => ScratchNamespace.Run(() =>
    {
        ScratchNamespace.Shell("sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
        using var table = Set(mode);
        ScratchNamespace.Shell($"setpriv --reuid 4343 --clear-groups -- /usr/bin/python3 - <<'END'\n{FromOutside}\nEND");
        Assert.Equal(mode == "enforce", ScratchNamespace.Sent() == 0);
    });

    [Theory, InlineData("enforce", "docker"), InlineData("redirect", "impostor")]
    public void Who_sends_from_the_address_of_Dockers_resolver_is_not_asked_in_its_place(string mode, string answers) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode);
        Assert.Equal(answers, Run(AsNameServer));
    });

    [Theory]
    [InlineData("enforce", "docker0", "own")]
    [InlineData("enforce", "custom0", "own")]
    [InlineData("redirect", "docker0", "pretence own")]
    public void What_a_container_sends_from_an_address_outside_does_not_arrive(string mode, string bridge, string arrive) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode);
        Assert.Equal(arrive, Run($"BRIDGE={bridge}\n{FromContainer}"));
        if (mode == "enforce")
            Assert.Equal(0, ScratchNamespace.Sent());
    });

    private static string Run(string script)
    {
        var file = Path.GetTempFileName();
        try
        {
            return ScratchNamespace.Shell($"FILE={file}\n{script}");
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static EgressTable Set(string mode)
    {
        var table = new EgressTable();
        table.Set(new EgressPlan(mode == "enforce" ? EgressMode.Enforce : EgressMode.Redirect, Proxy, EntryPort: 17082, DnsPort: 17053));
        return table;
    }
}
