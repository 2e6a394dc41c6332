using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Nftables;

public sealed class EgressTableTests
{
    private const ushort Entry = 17082;
    private const ushort Dns = 17053;
    private const uint Somebody = 4242;

    private static readonly IPEndPoint[] Elsewhere = [new(IPAddress.Parse("203.0.113.9"), 80), new(IPAddress.Parse("2001:db8:1::9"), 443)];

    [Theory, InlineData("redirect"), InlineData("enforce")]
    public void Connections_to_web_ports_arrive_at_the_entry_and_tell_where_they_were_going(string mode) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode, Somebody);
        foreach (var destination in Elsewhere)
        {
            using var listener = Listen(destination.AddressFamily, Entry);
            using var client = Connect(destination);
            using var arrived = listener.Accept();
            Assert.Equal(destination, OriginalDestination.Of(arrived));
        }

        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Fact]
    public void Whoever_connects_to_the_entry_itself_was_going_nowhere_else() => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        using var listener = Listen(AddressFamily.InterNetwork, Entry);
        using var client = Connect((IPEndPoint)listener.LocalEndPoint!);
        using var arrived = listener.Accept();
        Assert.Null(OriginalDestination.Of(arrived));
    });

    [Fact]
    public void Enforced_every_port_leads_to_the_entry() => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        using var listener = Listen(AddressFamily.InterNetwork, Entry);
        var destination = new IPEndPoint(IPAddress.Parse("203.0.113.9"), 5432);
        using var client = Connect(destination);
        using var arrived = listener.Accept();
        Assert.Equal(destination, OriginalDestination.Of(arrived));
    });

    /// <summary>Also where it never comes back: the rules lead to where nobody listens, and not out.</summary>
    [Theory, InlineData("redirect"), InlineData("enforce")]
    public void While_there_is_no_proxy_what_is_led_to_it_is_refused_at_once(string mode) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode, Somebody);
        foreach (var destination in Elsewhere)
            Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => Connect(destination)).SocketErrorCode);
        foreach (var address in Elsewhere.Select(destination => destination.Address))
        {
            using var question = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            question.Connect(address, 53);
            question.Send("a name"u8);
            Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => question.Receive(new byte[9])).SocketErrorCode);
        }

        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Fact]
    public void Redirected_other_ports_go_out() => ScratchNamespace.Run(() =>
    {
        using var table = Set("redirect", Somebody);
        using var listener = Listen(AddressFamily.InterNetwork, Entry);
        using var client = Connect(new IPEndPoint(IPAddress.Parse("203.0.113.9"), 5432), waits: false);
        Assert.False(listener.Poll(TimeSpan.FromMilliseconds(200), SelectMode.SelectRead));
        Assert.NotEqual(0, ScratchNamespace.Sent());
    });

    [Fact]
    public void Redirected_each_destination_of_other_TCP_is_known() => ScratchNamespace.Run(() =>
    {
        using var table = Set("redirect", Somebody);
        using var entry = Listen(AddressFamily.InterNetwork, Entry);
        foreach (var (address, port) in new[] { ("203.0.113.9", 5432), ("203.0.113.9", 22), ("203.0.113.9", 5432), ("2001:db8:1::9", 22), ("203.0.113.9", 443), ("127.0.0.1", 22) })
            Connect(new IPEndPoint(IPAddress.Parse(address), port), waits: false).Dispose();
        SendDatagram("203.0.113.9", 99);
        Assert.Equal(["203.0.113.9:22", "203.0.113.9:5432", "[2001:db8:1::9]:22"], table.Passed().Select(p => p.ToString()).Order(StringComparer.Ordinal));
        table.Set(new EgressPlan(EgressMode.Enforce, Somebody, Entry, Dns));
        Assert.Empty(table.Passed());
    });

    [Fact]
    public async Task Each_destination_is_told_of_once_and_not_more_than_a_thousand()
    {
        var lines = new List<string>();
        var count = 0;
        await PassedDestinations.WatchAsync(
            () => [.. Enumerable.Range(0, count += 400).Select(i => new IPEndPoint(new IPAddress([203, 0, (byte)(i >> 8), (byte)i]), 22))], lines.Add, new HurriedTime(), CancellationToken.None);
        Assert.Equal("egress redirect: tcp 203.0.0.7:22 goes out past the proxy", lines[7]);
        Assert.Equal(1201, lines.Distinct().Count());
        Assert.Equal(1201, lines.Count);
        Assert.Contains("more than 1000", lines[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("203.0.113.9", 443)]
    [InlineData("203.0.113.9", 123)]
    [InlineData("2001:db8:1::9", 443)]
    [InlineData("192.0.2.77", 5353)]
    [InlineData("224.0.0.251", 5353)]
    [InlineData("255.255.255.255", 67)]
    public void Enforced_datagrams_are_refused_at_once(string address, int port) => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        SendDatagram(address, port);
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Theory]
    [InlineData("enforce", "203.0.113.9", 443)]
    [InlineData("enforce", "203.0.113.9", 123)]
    [InlineData("enforce", "2001:db8:1::9", 443)]
    [InlineData("redirect", "203.0.113.9", 443)]
    [InlineData("redirect", "2001:db8:1::9", 443)]
    public void Who_sends_a_datagram_that_is_refused_hears_of_it_at_once(string mode, string address, int port) => ScratchNamespace.Run(() =>
    {
        using var table = Set(mode, Somebody);
        using var client = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 3000 };
        client.Connect(address, port);
        ScratchNamespace.AssertRefused(() =>
        {
            client.Send("datagram"u8);
            client.Receive(new byte[16]);
        });
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Fact]
    public void Redirected_pings_go_out() => ScratchNamespace.Run(() =>
    {
        using var table = Set("redirect", Somebody);
        ScratchNamespace.Shell("ping -c 1 -W 1 203.0.113.9 2>&1; ping -c 1 -W 1 2001:db8:1::9 2>&1; true");
        Assert.Equal(2, ScratchNamespace.Sent());
    });

    [Fact]
    public void Redirected_only_quic_is_refused() => ScratchNamespace.Run(() =>
    {
        using var table = Set("redirect", Somebody);
        SendDatagram("203.0.113.9", 443);
        Assert.Equal(0, ScratchNamespace.Sent());
        SendDatagram("203.0.113.9", 123);
        Assert.Equal(1, ScratchNamespace.Sent());
    });

    [Theory]
    [InlineData("203.0.113.53")]
    [InlineData("127.0.0.11")]
    [InlineData("127.0.0.53")]
    [InlineData("2001:db8:1::53")]
    public void Questions_for_names_arrive_at_the_resolver_whomever_they_were_for(string server) => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        var address = IPAddress.Parse(server);
        using var resolver = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 2000 };
        resolver.Bind(new IPEndPoint(LoopbackOf(address.AddressFamily), Dns));
        using var client = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 2000 };
        client.Connect(address, 53);
        client.Send("question"u8);
        var buffer = new byte[16];
        EndPoint from = new IPEndPoint(address.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        Assert.Equal(8, resolver.ReceiveFrom(buffer, ref from));
        resolver.SendTo("answer"u8, from);
        // The client's socket takes answers of the server it asked alone: the kernel puts its address back.
        Assert.Equal(6, client.Receive(buffer));

        using var listener = Listen(address.AddressFamily, Dns);
        using var stream = Connect(new IPEndPoint(address, 53));
        listener.Accept().Dispose();
        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Fact]
    public void Pings_stay_inside() => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        ScratchNamespace.Shell("sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
        foreach (var (address, protocol) in new[] { ("203.0.113.9", ProtocolType.Icmp), ("2001:db8:1::9", ProtocolType.IcmpV6) })
        {
            using var socket = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Dgram, protocol);
            Send(socket, [(byte)(protocol == ProtocolType.Icmp ? 8 : 128), 0, 0, 0, 0, 0, 0, 0], address, 0);
        }

        Assert.Equal(0, ScratchNamespace.Sent());
    });

    [Fact]
    public void The_proxy_leaves_as_it_likes() => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", proxyUser: 0);
        using var client = Connect(Elsewhere[0], waits: false);
        SendDatagram("203.0.113.53", 53);
        Assert.True(ScratchNamespace.Sent() >= 2);
    });

    [Fact]
    public void What_stays_on_this_machine_is_left_alone() => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        foreach (var address in new[] { "127.0.0.1", "192.0.2.1", "::1", "2001:db8::1" })
        {
            var here = IPAddress.Parse(address);
            using var listener = new Socket(here.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(here, 8080));
            listener.Listen();
            using var client = Connect(new IPEndPoint(here, 8080));
            listener.Accept().Dispose();
        }
    });

    [Fact]
    public void Nobody_flushes_it_and_other_tables_stay() => ScratchNamespace.Run(() =>
    {
        ScratchNamespace.Shell("nft add table ip other");
        using (var table = Set("enforce", Somebody))
        {
            Assert.Contains("table ip other", ScratchNamespace.Shell("nft list ruleset"), StringComparison.Ordinal);
            ScratchNamespace.Shell("nft flush ruleset; nft delete table inet discobot 2>/dev/null; true");
            Assert.Contains("reject with icmpx admin-prohibited", ScratchNamespace.Shell("nft list ruleset"), StringComparison.Ordinal);
            ScratchNamespace.Shell("nft add table ip other");
        }

        Assert.Equal("table ip other {\n}", ScratchNamespace.Shell("nft list ruleset"));
    });

    [Fact]
    public void What_is_refused_is_counted_by_its_kind_and_a_new_plan_forgets_nothing() => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        Assert.True(table.IsThere);
        // The kernel says which groups it is in when an interface comes up; that is over soon.
        long[] before;
        do
        {
            before = Counted();
            Thread.Sleep(TimeSpan.FromMilliseconds(200));
        }
        while (!before.SequenceEqual(Counted()));
        before = Counted();
        SendDatagram("203.0.113.9", 443);
        SendDatagram("2001:db8:1::9", 123);
        ScratchNamespace.Shell("ping -c 1 -W 1 203.0.113.9 2>&1; true");
        Assert.Equal([2, 1, 0], Since());
        table.Set(new EgressPlan(EgressMode.Enforce, Somebody, Entry, Dns));
        SendDatagram("203.0.113.9", 443);
        Assert.Equal([3, 1, 0], Since());
        table.Set(new EgressPlan(EgressMode.Open, Somebody, Entry, Dns));
        Assert.False(table.IsThere);

        long[] Since() => [.. Counted().Zip(before, (now, then) => now - then)];
        long[] Counted() => [.. ((string[])["udp", "icmp", "other"]).Select(kind => table.Refused().GetValueOrDefault(kind))];
    });

    [Fact]
    public void What_the_kernel_tells_the_neighbours_of_its_groups_stays_here_and_is_nobodys_attempt() => ScratchNamespace.Run(() =>
    {
        ScratchNamespace.Shell("nft 'add table inet early; add chain inet early out { type filter hook output priority -500; }; add rule inet early out icmpv6 type mld2-listener-report counter'");
        ScratchNamespace.Shell("nft add table inet late; nft 'add chain inet late out { type filter hook postrouting priority 600; }; add rule inet late out icmpv6 type mld2-listener-report counter'");
        using var table = Set("enforce", Somebody);
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        var before = Reports("early out");
        var late = Reports("late out");
        listener.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.AddMembership, new IPv6MulticastOption(IPAddress.Parse("ff02::1:2:3"), NetworkInterface.GetAllNetworkInterfaces().Single(i => i.Name == "eth0").GetIPProperties().GetIPv6Properties().Index));
        Assert.True(SpinWait.SpinUntil(() => Reports("early out") > before, TimeSpan.FromSeconds(10)));
        Assert.Equal(late, Reports("late out"));
        Assert.All(table.Refused(), r => Assert.Equal(0, r.Value));

        static int Reports(string chain) => int.Parse(ScratchNamespace.Shell($"nft list chain inet {chain} | sed -n 's/.*counter packets \\([0-9]*\\).*/\\1/p'"), CultureInfo.InvariantCulture);
    });

    [Fact]
    public void Who_flushes_the_ruleset_is_heard_of_within_a_second() => ScratchNamespace.Run(() =>
    {
        ScratchNamespace.Shell("nft add table ip other");
        using var table = Set("enforce", Somebody);
        using var lost = new System.Collections.Concurrent.BlockingCollection<TableLoss>();
        using var stop = new CancellationTokenSource();
        var hearing = RulesetWatch.Listen(lost.Add)(stop.Token);
        ScratchNamespace.Shell("nft add table ip more; nft flush ruleset");
        // The one that records is the test's own.
        HashSet<string> expected = ["more", "other", "recorder"];
        while (expected.Count > 0)
        {
            Assert.True(lost.TryTake(out var next, TimeSpan.FromSeconds(1)), string.Join(' ', expected));
            Assert.Equal("nft", next.Program);
            Assert.True(expected.Remove(next.Name), next.Name);
        }

        Assert.True(table.IsThere);
        stop.Cancel();
        Assert.True(((IAsyncResult)hearing).AsyncWaitHandle.WaitOne(TimeSpan.FromSeconds(1)));
    });

    /// <summary>The rules' part of a start. A machine that is busy with others makes tries longer and none shorter, so one of
    /// them tells; there are as many as a machine that stands still for seconds may need.</summary>
    [Theory, InlineData("redirect"), InlineData("enforce")]
    public void They_are_set_in_less_than_20_ms(string mode) => ScratchNamespace.Run(() =>
    {
        var limit = TimeSpan.FromMilliseconds(20);
        var quickest = TimeSpan.MaxValue;
        for (var tries = 0; tries < 500 && quickest >= limit; tries++)
        {
            var watch = Stopwatch.StartNew();
            using var table = Set(mode, Somebody);
            quickest = TimeSpan.FromTicks(Math.Min(quickest.Ticks, watch.Elapsed.Ticks));
        }

        Assert.True(quickest < limit, $"{quickest.TotalMilliseconds} ms");
    });

    [Fact]
    public void A_new_plan_takes_the_place_of_the_old_one() => ScratchNamespace.Run(() =>
    {
        using var table = Set("enforce", Somebody);
        table.Set(new EgressPlan(EgressMode.Redirect, Somebody, Entry, Dns));
        var ruleset = ScratchNamespace.Shell("nft list table inet discobot");
        Assert.DoesNotContain("\tmeta l4proto tcp counter", ruleset, StringComparison.Ordinal);
        table.Set(new EgressPlan(EgressMode.Open, Somebody, Entry, Dns));
        Assert.DoesNotContain("chain", ScratchNamespace.Shell("nft list table inet discobot"), StringComparison.Ordinal);
    });

    [Fact]
    public void Until_the_proxy_serves_only_root_leaves() => ScratchNamespace.Run(() =>
    {
        using var table = new EgressTable();
        table.Set(new EgressPlan(EgressMode.Enforce, Somebody, Entry, Dns) { IsServed = false });
        ScratchNamespace.Shell("setpriv --reuid 4343 --clear-groups -- sh -c 'nc -w 1 203.0.113.9 80 </dev/null; nc -u -w 1 127.0.0.11 40053 </dev/null; ping -c 1 -w 1 203.0.113.9' 2>&1; true");
        Assert.Equal(0, ScratchNamespace.Sent());
        SendDatagram("203.0.113.9", 123);
        Assert.Equal(1, ScratchNamespace.Sent());
    });

    [Fact]
    public void Dockers_resolver_is_reached_by_the_proxy_alone() => ScratchNamespace.Run(() =>
    {
        using var resolver = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        resolver.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.11"), 40053));
        using (var table = Set("enforce", Somebody))
        {
            SendDatagram("127.0.0.11", 40053);
            Assert.False(resolver.Poll(TimeSpan.FromMilliseconds(200), SelectMode.SelectRead));
        }

        using (var table = Set("enforce", proxyUser: 0))
        {
            SendDatagram("127.0.0.11", 40053);
            Assert.True(resolver.Poll(TimeSpan.FromMilliseconds(200), SelectMode.SelectRead));
        }
    });

    [Theory]
    [InlineData("", "203.0.113.53", 1)]
    [InlineData("203.0.113.53", "203.0.113.53", 1)]
    [InlineData("203.0.113.54", "203.0.113.53", 0)]
    public void Dockers_resolver_asks_on_as_root_where_it_is_said_to(string servers, string asked, int sent) => ScratchNamespace.Run(() =>
    {
        using var table = new EgressTable();
        table.Set(new EgressPlan(EgressMode.Enforce, Somebody, Entry, Dns)
        {
            DockerAsks = [.. servers.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(IPAddress.Parse)],
        });
        SendDatagram(asked, 53);
        SendDatagram(asked, 123);
        ScratchNamespace.Shell($"setpriv --reuid 4343 --clear-groups -- sh -c 'echo x | nc -u -w 1 {asked} 53' 2>&1; true");
        Assert.Equal(sent, ScratchNamespace.Sent());
    });

    private static EgressTable Set(string mode, uint proxyUser)
    {
        var table = new EgressTable();
        for (var watch = Stopwatch.StartNew(); ; Thread.Sleep(10))
        {
            try
            {
                table.Set(new EgressPlan(mode == "enforce" ? EgressMode.Enforce : EgressMode.Redirect, proxyUser, Entry, Dns));
                return table;
            }
            catch (LibcException error) when (error.Number == LibcException.NotPermitted && watch.Elapsed < TimeSpan.FromSeconds(2))
            {
                // A program that another test just starts has the socket of the table before for a moment, too.
            }
        }
    }

    private static IPAddress LoopbackOf(AddressFamily family) => family == AddressFamily.InterNetwork ? IPAddress.Loopback : IPAddress.IPv6Loopback;

    private static Socket Listen(AddressFamily family, int port)
    {
        var listener = new Socket(family, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(LoopbackOf(family), port));
        listener.Listen();
        return listener;
    }

    private static Socket Connect(IPEndPoint destination, bool waits = true)
    {
        var client = new Socket(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = waits };
        try
        {
            client.Connect(destination);
        }
        catch (SocketException e) when (!waits && e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            // On its way.
        }

        return client;
    }

    private static void SendDatagram(string address, int port)
    {
        using var socket = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Dgram, ProtocolType.Udp) { EnableBroadcast = true };
        Send(socket, "datagram"u8, address, port);
    }

    // What the filter refuses, the kernel tells the sender (EPERM, or an ICMP message), or it does not.
    private static void Send(Socket socket, ReadOnlySpan<byte> bytes, string address, int port)
    {
        try
        {
            socket.SendTo(bytes, new IPEndPoint(IPAddress.Parse(address), port));
        }
        catch (SocketException)
        {
        }
    }
}
