using System.Net;
using System.Net.Sockets;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Nftables;

/// <summary>The kernel's table of connections really full: of connections that the kernel does not give up for new ones, as both sides have spoken.</summary>
public sealed class FullConnectionTableTests
{
    private const ushort Entry = 17082;
    private const ushort Dns = 17053;
    private const uint Proxy = 4242;

    // What every program can try. No way waits for an answer for long.
    private const string Tries = """
        import socket
        for family, address in ((socket.AF_INET, "203.0.113.9"), (socket.AF_INET6, "2001:db8:1::9"), (socket.AF_INET, "127.0.0.11"), (socket.AF_INET, "192.0.2.77")):
            for kind, protocol, port in ((1, 0, 80), (1, 0, 443), (1, 0, 53), (1, 0, 5432), (2, 0, 53), (2, 0, 443), (2, 0, 123), (2, 1 if family == socket.AF_INET else 58, 0)):
                try:
                    s = socket.socket(family, kind, protocol)
                    s.setblocking(False)
                    s.connect((address, port))
                    s.send(b"\x08" if family == socket.AF_INET else b"\x80" + bytes(7))
                except OSError:
                    pass
        """;

    [Fact]
    public void Nothing_leaves_while_it_is_full_what_had_begun_goes_on_and_afterwards_all_is_as_before() => ScratchNamespace.Run(() =>
    {
        // How long it keeps what nobody uses is this network's own: however slow the machine is, the first are still there when the last come.
        ScratchNamespace.Shell("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=900 net.netfilter.nf_conntrack_udp_timeout_stream=900; sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
        using var table = new EgressTable();
        table.Set(new EgressPlan(EgressMode.Enforce, Proxy, Entry, Dns));
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, Entry));
        listener.Listen();
        using var begun = Connect();
        using var arrived = listener.Accept();

        Fill();
        Assert.True(ConnectionTable.Read()!.IsFull, $"{ConnectionTable.Read()}");
        TryAs(4343);
        TryAs(0);
        // The proxy neither: nobody gets out, and nobody is let out for it.
        TryAs(Proxy);
        Assert.Equal(0, ScratchNamespace.Sent());
        Assert.False(listener.Poll(TimeSpan.Zero, SelectMode.SelectRead));
        begun.Send("still"u8);
        arrived.ReceiveTimeout = begun.ReceiveTimeout = 5000;
        Assert.Equal(5, arrived.Receive(new byte[16]));
        arrived.Send("there"u8);
        Assert.Equal(5, begun.Receive(new byte[16]));

        Forget();
        Assert.False(ConnectionTable.Read()!.IsFull);
        using var again = Connect();
        using var led = listener.Accept();
        Assert.Equal(new IPEndPoint(IPAddress.Parse("203.0.113.9"), 443), OriginalDestination.Of(led));
        TryAs(4343);
        Assert.Equal(0, ScratchNamespace.Sent());
        TryAs(Proxy);
        Assert.NotEqual(0, ScratchNamespace.Sent());
    });

    private static Socket Connect()
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(IPAddress.Parse("203.0.113.9"), 443);
        return client;
    }

    private static void TryAs(uint user) => ScratchNamespace.Shell($"setpriv --reuid {user} --clear-groups -- /usr/bin/python3 - <<'END'\n{Tries}\nEND");

    // By the loopback interface, where everybody may send what they like: each of these sockets with each of those.
    private static void Fill()
    {
        var side = (int)Math.Ceiling(Math.Sqrt(ConnectionTable.Read()!.Limit));
        var (ours, theirs) = (Bound("127.0.0.1", side), Bound("127.0.0.2", side));
        try
        {
            var free = ConnectionTable.Read() is { } now ? now.Limit - now.Count : 0;
            var pairs = (from one in ours from other in theirs select (one, other)).Take((int)free).ToArray();
            var packet = "x"u8.ToArray();
            // Twice: of a table that is nearly full the kernel removes now and then what does not count as a connection yet.
            for (var round = 0; round < 2; round++)
            {
                foreach (var (one, other) in pairs)
                {
                    one.Socket.SendTo(packet, SocketFlags.None, other.Address);
                    other.Socket.SendTo(packet, SocketFlags.None, one.Address);
                }

                // Those of datagrams do when both sides have spoken for two seconds, which the kernel counts.
                Thread.Sleep(TimeSpan.FromSeconds(2.5));
                foreach (var (one, other) in pairs)
                    one.Socket.SendTo(packet, SocketFlags.None, other.Address);
            }
        }
        finally
        {
            foreach (var end in ours.Concat(theirs))
                end.Socket.Dispose();
        }
    }

    private static List<(Socket Socket, SocketAddress Address)> Bound(string address, int count) => [.. Enumerable.Range(0, count).Select(_ =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
        return (socket, ((IPEndPoint)socket.LocalEndPoint!).Serialize());
    })];

    // linux/netfilter/nfnetlink_conntrack.h: IPCTNL_MSG_CT_DELETE of all. In time the kernel does it by itself.
    private static void Forget()
    {
        using var socket = new NetlinkSocket(NetlinkSocket.Netfilter);
        byte[] message = [20, 0, 0, 0, 2, 1, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Assert.Null(socket.Send(message, [1]));
    }
}
