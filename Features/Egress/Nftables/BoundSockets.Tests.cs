using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Nftables;

/// <summary>Sockets that are bound to an interface or to an address.</summary>
public sealed class BoundSocketsTests
{
    private const ushort Entry = 17082;
    private const ushort Dns = 17053;

    [Theory]
    [InlineData("redirect", "203.0.113.9", 80)]
    [InlineData("redirect", "2001:db8:1::9", 443)]
    [InlineData("enforce", "203.0.113.9", 5432)]
    [InlineData("enforce", "2001:db8:1::9", 443)]
    public void A_program_that_is_bound_to_the_uplink_is_led_where_the_loopback_has_routes_by_it(string mode, string address, int port) => ScratchNamespace.Run(() =>
    {
        // Without the ways that others have.
        ScratchNamespace.Shell("ip route del default; ip -6 route del default; ip route add 203.0.113.0/24 dev eth0; ip -6 route add 2001:db8:1::/64 dev eth0");
        using var table = Set(mode);
        AddRoutes();
        AddRoutes();
        var family = IPAddress.Parse(address).AddressFamily;
        using var listener = Listen(family);
        using var client = new Socket(family, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 3000 };
        client.SetRawSocketOption(1, 25, "eth0\0"u8);
        client.SetRawSocketOption(6, 7, BitConverter.GetBytes(1));
        client.Connect(address, port);
        using var arrived = listener.Accept();
        Assert.Equal(new IPEndPoint(IPAddress.Parse(address), port), OriginalDestination.Of(arrived));
        arrived.Send("answer"u8);
        Assert.Equal(6, client.Receive(new byte[16]));
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Theory, InlineData("redirect"), InlineData("enforce")]
    public void So_are_its_questions_for_names(string mode) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode);
        AddRoutes();
        using var resolver = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 2000 };
        resolver.Bind(new IPEndPoint(IPAddress.Loopback, Dns));
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 2000 };
        client.SetRawSocketOption(1, 25, "eth0\0"u8);
        client.Connect("203.0.113.53", 53);
        client.Send("question"u8);
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        Assert.Equal(8, resolver.ReceiveFrom(new byte[16], ref from));
        resolver.SendTo("answer"u8, from);
        Assert.Equal(6, client.Receive(new byte[16]));
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Theory, InlineData("up first"), InlineData("there and down"), InlineData("down again and up")]
    public void By_an_interface_that_comes_later_it_is_led_as_soon_as_that_is_up(string how) => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce");
        if (how != "up first")
            ScratchNamespace.Shell("ip link add eth1 type veth peer name beyond1; ip link set beyond1 up");
        if (how == "down again and up")
            ScratchNamespace.Shell("ip link set eth1 up");
        AddToAll();
        using var changes = new BlockingCollection<bool>();
        using var stop = new CancellationTokenSource();
        // Told here: the thread that hears is not of the test's network.
        var hearing = InterfaceWatch.Listen(() => changes.Add(true))(stop.Token);
        if (how == "up first")
            ScratchNamespace.Shell("ip link add eth1 type veth peer name beyond1; ip link set beyond1 up");
        ScratchNamespace.Shell("ip link set eth1 down; ip link set eth1 up; ip address add 198.51.100.1/24 dev eth1; ip route add 203.0.113.0/24 dev eth1 metric 5000");
        using var listener = Listen(AddressFamily.InterNetwork);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.SetRawSocketOption(1, 25, "eth1\0"u8);
        client.SetRawSocketOption(6, 7, BitConverter.GetBytes(1));
        do
        {
            Assert.True(changes.TryTake(out _, TimeSpan.FromSeconds(5)));
            AddToAll();
        }
        while (!ScratchNamespace.Shell("ip route show table local; ip -6 route show table local").Contains("local 127.0.0.1 dev eth1", StringComparison.Ordinal));
        client.Connect("203.0.113.9", 5432);
        using var arrived = listener.Accept();
        Assert.Equal(new IPEndPoint(IPAddress.Parse("203.0.113.9"), 5432), OriginalDestination.Of(arrived));
        stop.Cancel();
        Assert.True(((IAsyncResult)hearing).AsyncWaitHandle.WaitOne(TimeSpan.FromSeconds(5)));
    });

    /// <summary>As by an interface that came later: the kernel sends by it whatever it is for.</summary>
    [Theory]
    [InlineData("redirect", "203.0.113.9", 80, true)]
    [InlineData("redirect", "2001:db8:1::9", 443, true)]
    [InlineData("redirect", "192.0.2.77", 443, true)]
    [InlineData("redirect", "203.0.113.53", 53, false)]
    [InlineData("enforce", "203.0.113.9", 80, true)]
    [InlineData("enforce", "203.0.113.9", 5432, true)]
    [InlineData("enforce", "2001:db8:1::9", 443, true)]
    [InlineData("enforce", "203.0.113.53", 53, false)]
    public void By_an_interface_that_has_no_such_routes_it_is_refused_at_once(string mode, string address, int port, bool isTcp) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode);
        var family = IPAddress.Parse(address).AddressFamily;
        using var listener = Listen(family);
        using var client = new Socket(family, isTcp ? SocketType.Stream : SocketType.Dgram, isTcp ? ProtocolType.Tcp : ProtocolType.Udp) { ReceiveTimeout = 3000 };
        client.SetRawSocketOption(1, 25, "eth0\0"u8);
        // TCP_SYNCNT: where nobody answers, the test is not to wait for two minutes.
        if (isTcp)
            client.SetRawSocketOption(6, 7, BitConverter.GetBytes(1));
        ScratchNamespace.AssertRefused(() =>
        {
            client.Connect(address, port);
            client.Send("datagram"u8);
            client.Receive(new byte[16]);
        });
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Theory]
    [InlineData("redirect", "192.0.2.1", "203.0.113.9")]
    [InlineData("redirect", "2001:db8::1", "2001:db8:1::9")]
    [InlineData("enforce", "192.0.2.1", "203.0.113.9")]
    [InlineData("enforce", "2001:db8::1", "2001:db8:1::9")]
    public void A_program_that_is_bound_to_an_address_is_led_like_any_other(string mode, string source, string address) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode);
        var from = IPAddress.Parse(source);
        using var listener = Listen(from.AddressFamily);
        using var client = new Socket(from.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        client.Bind(new IPEndPoint(from, 0));
        client.Connect(address, 443);
        using var arrived = listener.Accept();
        Assert.Equal(new IPEndPoint(IPAddress.Parse(address), 443), OriginalDestination.Of(arrived));
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Fact]
    public void A_program_that_is_bound_to_the_uplink_goes_out_where_others_do() => ScratchNamespace.Run(() =>
    {
        using var table = Set("redirect");
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        client.SetRawSocketOption(1, 25, "eth0\0"u8);
        client.SendTo("datagram"u8, new IPEndPoint(IPAddress.Parse("203.0.113.9"), 123));
        Assert.Equal(1, ScratchNamespace.Sent());
    });

    [Theory]
    [InlineData("203.0.113.9", 80)]
    [InlineData("127.0.0.1", 17082)]
    [InlineData("169.254.17.82", 9)]
    [InlineData("192.0.2.1", 9)]
    [InlineData("2001:db8:1::9", 80)]
    [InlineData("::1", 9)]
    public void A_socket_that_is_bound_to_the_uplink_sends_nothing_there(string destination, int port) => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce");
        ScratchNamespace.Shell("ip address add 169.254.17.82/32 dev lo");
        var address = IPAddress.Parse(destination);
        foreach (var (type, protocol) in new[] { (SocketType.Stream, ProtocolType.Tcp), (SocketType.Dgram, ProtocolType.Udp) })
        {
            using var socket = new Socket(address.AddressFamily, type, protocol) { Blocking = false };
            socket.SetRawSocketOption(1, 25, "eth0\0"u8);
            try
            {
                socket.Connect(address, port);
                socket.Send("datagram"u8);
            }
            catch (SocketException)
            {
                // On its way, or refused.
            }
        }

        Assert.Equal(0, ScratchNamespace.Sent());
    });

    private static EgressTable Set(string mode)
    {
        var table = new EgressTable();
        table.Set(new EgressPlan(mode == "enforce" ? EgressMode.Enforce : EgressMode.Redirect, ProxyUser: 4242, Entry, Dns));
        return table;
    }

    // As LoopbackRoute.AddByAll, of the interfaces of the test's thread: the machine's /sys tells of others.
    private static void AddToAll()
    {
        foreach (var index in ScratchNamespace.Shell("ip -o link show up | grep -v ' lo:' | cut -d: -f1").Split('\n'))
        {
            LoopbackRoute.Add(IPAddress.Loopback, uint.Parse(index, CultureInfo.InvariantCulture));
            LoopbackRoute.Add(IPAddress.IPv6Loopback, uint.Parse(index, CultureInfo.InvariantCulture));
        }
    }

    private static void AddRoutes()
    {
        var index = uint.Parse(ScratchNamespace.Shell("ip -o link show eth0 | cut -d: -f1"), CultureInfo.InvariantCulture);
        LoopbackRoute.Add(IPAddress.Loopback, index);
        LoopbackRoute.Add(IPAddress.IPv6Loopback, index);
    }

    private static Socket Listen(AddressFamily family)
    {
        var listener = new Socket(family, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(family == AddressFamily.InterNetwork ? IPAddress.Loopback : IPAddress.IPv6Loopback, Entry));
        listener.Listen();
        return listener;
    }
}
