using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Nftables;

/// <summary>Ways out that are called as Docker calls its networks. What goes out by them where nothing knows better is how the tries are known to work.</summary>
public sealed class UplinksTests
{
    private const uint Proxy = 4242;

    // Becomes the only way out, and what counts counts there, but for what a bridge says of its groups.
    private const string Lead = """
        ip link set far up; ip address add 198.51.100.1/24 dev $UP; ip -6 address add 2001:db8:2::1/64 dev $UP nodad; ip link set $UP up
        ip route replace default via 198.51.100.254 dev $UP; ip -6 route replace default via 2001:db8:2::fe dev $UP
        ip neigh add 198.51.100.254 lladdr 02:00:00:00:00:01 dev $UP nud permanent; ip neigh add 2001:db8:2::fe lladdr 02:00:00:00:00:01 dev $UP nud permanent
        until ip -6 route show table local | grep -q '^local 2001:db8:2::1 '; do sleep 0.01; done
        nft delete rule inet recorder sent handle $(nft -a list chain inet recorder sent | sed -n 's/.*oifname.* handle //p'); nft add rule inet recorder sent oifname $UP meta l4proto != igmp counter
        """;

    private const string Plain = "ip link add $UP type veth peer name far";
    private const string Bridge = "ip link add $UP type bridge; ip link add port type veth peer name far; ip link set port master $UP; ip link set port up";

    // A bridge passes nothing on until it has seen its port up; but what leaves by it leaves.
    private const string Try = """
        setpriv --reuid 4343 --clear-groups -- /usr/bin/python3 - <<'END'
        import socket
        for family, to in ((2, "203.0.113.9"), (10, "2001:db8:1::9")):
            for kind, protocol, port in ((2, 0, 443), (2, 0, 99), (1, 0, 22), (2, 1 if family == 2 else 58, 0)):
                try:
                    s = socket.socket(family, kind, protocol); s.setblocking(False); s.connect((to, port))
                    s.send((b"\x08" if family == 2 else b"\x80") + bytes(11))
                except OSError:
                    pass
        END
        """;

    [Theory]
    [InlineData("docker0", false)]
    [InlineData("br-up", false)]
    [InlineData("docker0", true)]
    [InlineData("br-up", true)]
    public void Enforced_nothing_leaves_by_what_was_there_before_Docker_whatever_its_name(string name, bool isBridge) => ScratchNamespace.Run(() =>
    {
        Make(name, isBridge);
        using var table = Set([.. NetworkBridge.All().Where(bridge => bridge.HasPort).Select(bridge => bridge.Index)]);
        ScratchNamespace.Shell(Try);
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Theory, InlineData("br-mgmt", false, 0), InlineData("br-0123", true, 8)]
    public void A_network_that_is_attached_later_is_no_network_of_Dockers_and_one_that_Docker_makes_is(string name, bool isBridge, int sent) => ScratchNamespace.Run(() =>
    {
        using var table = Set([.. NetworkBridge.All().Select(bridge => bridge.Index)]);
        Make(name, isBridge);
        ScratchNamespace.Shell(Try);
        Assert.Equal(sent, ScratchNamespace.Sent());
    });

    private static void Make(string name, bool isBridge) => ScratchNamespace.Shell($"UP={name}\n{(isBridge ? Bridge : Plain)}\n{Lead}");

    private static EgressTable Set(IReadOnlyList<uint> uplinks)
    {
        ScratchNamespace.Shell("sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
        var table = new EgressTable();
        table.Set(new EgressPlan(EgressMode.Enforce, Proxy, EntryPort: 17082, DnsPort: 17053) { Uplinks = uplinks });
        return table;
    }
}
