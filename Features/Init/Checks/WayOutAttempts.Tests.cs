using System.Net;
using System.Net.Sockets;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Nftables;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Checks;

public sealed class WayOutAttemptsTests
{
    // The start and end of a resolver, as far as the attempts need one.
    private const string Resolver = """
        python3 -c 'import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 17053))
        while True: q, c = s.recvfrom(512); s.sendto(q[:2] + b"\x81\x80" + q[4:], c)' & resolver=$!; until grep -q ":429D " /proc/net/udp; do sleep 0.02; done
        """;

    private static readonly string Program = $"DOTNET_ROOT={Executable.Runtime} "
        + $"setpriv --bounding-set -net_raw {Executable.Path} attempts --to 203.0.113.9 --to 2001:db8:1::9";

    [Theory]
    [InlineData("enforce")]
    [InlineData("redirect")]
    [InlineData("open")]
    public void They_see_what_leaves_and_what_does_not(string mode) => ScratchNamespace.Run(() =>
    {
        using var table = new EgressTable();
        var egress = Enum.Parse<EgressMode>(mode, ignoreCase: true);
        table.Set(new EgressPlan(egress, ProxyUser: 4242, EntryPort: 17082, DnsPort: 17053));
        using var entry = Listen(IPAddress.Loopback);
        using var entry6 = Listen(IPAddress.IPv6Loopback);
        var tried = ScratchNamespace.Shell($"{Resolver}\n{Program}; kill $resolver").Split('\n').Select(TriedWay.Parse).OfType<TriedWay>().ToDictionary(way => way.Name);
        var (web, rest, datagrams) = mode switch
        {
            "enforce" => (Attempt.Led, Attempt.Led, Attempt.Held),
            "redirect" => (Attempt.Led, Attempt.Left, Attempt.Left),
            _ => (Attempt.Left, Attempt.Left, Attempt.Left),
        };
        Assert.Equal((web, web, web), (tried["TCP 80"].Outcome, tried["TCP 443"].Outcome, tried["IPv6 TCP 443"].Outcome));
        Assert.Equal((rest, rest), (tried["TCP 22"].Outcome, tried["TCP 47391"].Outcome));
        Assert.Equal((datagrams, datagrams), (tried["UDP"].Outcome, tried["IPv6 UDP"].Outcome));
        Assert.Equal(mode == "open" ? Attempt.Left : Attempt.Held, tried["QUIC"].Outcome);
        Assert.Equal(mode == "open" ? Attempt.Left : Attempt.Led, tried["DNS"].Outcome);
        Assert.Equal((Attempt.Held, Attempt.Held), (tried["raw socket"].Outcome, tried["packet socket"].Outcome));
        Assert.Equal(mode == "enforce", ScratchNamespace.Sent() == 0);
        // What the doctor makes of it: what is promised is kept, and what is not promised is no failure.
        Assert.DoesNotContain(tried.Values.Where(way => way.Name != "privileged container"), way => DoctorEgress.Judge(egress, way).Works == false);
    });

    [Theory]
    [InlineData("enforce", "TCP 22", false)]
    [InlineData("enforce", "UDP", false)]
    [InlineData("enforce", "privileged container", false)]
    [InlineData("redirect", "TCP 443", false)]
    [InlineData("redirect", "QUIC", false)]
    [InlineData("redirect", "TCP 22", null)]
    [InlineData("open", "TCP 443", null)]
    public void What_leaves_is_a_failure_where_the_mode_promises_that_it_does_not(string mode, string name, bool? works)
    {
        var finding = DoctorEgress.Judge(Enum.Parse<EgressMode>(mode, ignoreCase: true), new TriedWay(name, Attempt.Left, "it left"));
        Assert.Equal(works, finding.Works);
        Assert.Equal(works is null, finding.Fix is null);
        Assert.Contains("past the proxy", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_table_of_connections_is_a_failure_with_what_to_do()
    {
        var finding = DoctorEgress.Judge(new ConnectionTable(65_536, 65_536));
        Assert.False(finding.Works);
        Assert.Contains("65536 of 65536 connections", finding.Detail, StringComparison.Ordinal);
        Assert.Contains("nf_conntrack_max", finding.Fix, StringComparison.Ordinal);
        Assert.True(DoctorEgress.Judge(new ConnectionTable(12, 65_536)).Works);
    }

    [Theory]
    [InlineData("403 Forbidden", "Held")]
    [InlineData("404 Not Found", "Left")]
    [InlineData("201 Created", "Left")]
    public async Task A_guard_is_told_from_a_daemon_by_its_refusal(string status, string outcome)
    {
        var path = Path.Combine(Path.GetTempPath(), $"docker-{Guid.NewGuid():N}.sock");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        _ = Task.Run(async () =>
        {
            using var client = await listener.AcceptAsync();
            await client.ReceiveAsync(new byte[4096]);
            await client.SendAsync(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        });
        var tried = await new WayOutAttempts(IPAddress.Loopback, IPAddress.IPv6Loopback, path).RunAsync(default);
        File.Delete(path);
        Assert.Equal(outcome, tried.Single(way => way.Name == "privileged container").Outcome.ToString());
    }

    [Fact]
    public void A_line_says_what_was_tried() =>
        Assert.Equal(new TriedWay("TCP 22", Attempt.Led, "it arrives"), TriedWay.Parse(new TriedWay("TCP 22", Attempt.Led, "it arrives").ToString()));

    private static Socket Listen(IPAddress address)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(address, 17082));
        listener.Listen();
        return listener;
    }
}
