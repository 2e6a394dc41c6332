using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Nftables;

/// <summary>
/// What the kernel sends for a connection whose socket was closed belongs to no user: FIN again, the last acknowledgement, RST, data that was not
/// sent yet. Where egress is enforced it leaves for the proxy's connections, and for nobody else's.
/// </summary>
public sealed class ClosedConnectionsTests
{
    [Fact]
    public void A_server_is_told_of_the_end_and_forgets_the_connection() => Enforced(beyond =>
    {
        var client = Connect(beyond);
        client.Send("data"u8);
        client.Dispose();
        Assert.Equal("b'data' b''", $"{beyond.Ask("s.recv(9)")} {beyond.Ask("s.recv(9)")}");
        beyond.Say("s.close()");
        // Without the acknowledgement of its own end it would stay in LAST-ACK.
        Forgets(beyond);
    });

    [Fact]
    public void A_server_that_goes_on_sending_is_told_that_nobody_listens() => Enforced(beyond =>
    {
        Connect(beyond).Dispose();
        beyond.Say("""exec("try:\n while True: s.send(b'x'); time.sleep(0.1)\nexcept OSError as e: print(type(e).__name__, flush=True)")""");
        Assert.Contains(beyond.Hear(), (string[])["ConnectionResetError", "BrokenPipeError"]);
        beyond.Say("s.close()");
        Forgets(beyond);
    });

    [Fact]
    public void An_end_that_was_lost_is_sent_again() => Enforced(beyond =>
    {
        var client = Connect(beyond);
        beyond.Shell("nft add table ip lossy; nft add chain ip lossy in \"{ type filter hook input priority 0; }\"; nft add rule ip lossy in tcp flags \"&\" fin == fin counter drop");
        client.Dispose();
        for (var watch = Stopwatch.StartNew(); beyond.Shell("nft list table ip lossy").Contains("packets 0 ", StringComparison.Ordinal); Thread.Sleep(20))
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), "no end was sent");
        beyond.Shell("nft delete table ip lossy");
        beyond.Say("s.settimeout(5)");
        Assert.Equal("b''", beyond.Ask("s.recv(9)"));
    });

    [Fact]
    public void What_was_written_before_arrives_whole() => Enforced(beyond =>
    {
        const int Length = 3_000_000;
        ScratchNamespace.Shell("sysctl -qw net.ipv4.tcp_wmem='4096 4000000 8000000'");
        var client = Connect(beyond);
        client.Send(new byte[Length]);
        client.Dispose();
        beyond.Say("s.settimeout(5); n = 0");
        beyond.Say("""exec("while True:\n b = s.recv(65536); n += len(b)\n if not b: break")""");
        Assert.Equal($"{Length}", beyond.Ask("n"));
    });

    [Fact]
    public void Nobody_else_takes_over_a_connection_that_the_proxy_has_left() => Enforced(beyond =>
    {
        var client = Connect(beyond);
        var port = ((IPEndPoint)client.LocalEndPoint!).Port;
        // TCP_REPAIR: closed without a word, so that the kernel still takes it for established, and the port is free.
        client.SetRawSocketOption(6, 19, BitConverter.GetBytes(1));
        client.Dispose();
        var before = ScratchNamespace.Sent();
        var said = ScratchNamespace.Shell($"""
            setpriv --reuid 4343 --clear-groups -- /usr/bin/python3 -c '
            import socket
            for flags in (0, 0x20000000):
                s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(("192.0.2.1", {port})); s.settimeout(3)
                try: s.sendto(b"exfil", flags, ("{Beyond.Address}", {Beyond.Port})) if flags else s.connect(("{Beyond.Address}", {Beyond.Port})); print("LEAK")
                except OSError as e: print("held")
                s.close()
            '
            """);
        Assert.Equal("held\nheld", said);
        // By time: that nothing is sent.
        Thread.Sleep(TimeSpan.FromMilliseconds(500));
        Assert.Equal(before, ScratchNamespace.Sent());
    });

    private static void Enforced(Action<Beyond> test) => ScratchNamespace.Run(() =>
    {
        using var beyond = new Beyond();
        using var table = new EgressTable();
        // The proxy's user is the one who runs these tests.
        table.Set(new EgressPlan(EgressMode.Enforce, ProxyUser: 0, EntryPort: 17082, DnsPort: 17053));
        test(beyond);
    });

    private static Socket Connect(Beyond beyond)
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(Beyond.Address, Beyond.Port);
        beyond.Say("s, _ = l.accept()");
        return client;
    }

    private static void Forgets(Beyond beyond)
    {
        for (var watch = Stopwatch.StartNew(); ; Thread.Sleep(20))
        {
            var left = beyond.Shell($"ss -Htan sport = :{Beyond.Port} | grep -v LISTEN; true");
            if (left.Length == 0)
                return;
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2), left);
        }
    }
}
