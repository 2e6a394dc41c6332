using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Features.Socks5;

public sealed class UdpRelayTests : IDisposable
{
    private readonly UdpClient _echo = new(new IPEndPoint(IPAddress.Loopback, 0));
    private readonly UdpClient _client = new(new IPEndPoint(IPAddress.Loopback, 0));

    public UdpRelayTests() => _ = EchoAsync();

    private IPEndPoint Echo => (IPEndPoint)_echo.Client.LocalEndPoint!;

    [Fact]
    public async Task Datagrams_go_out_and_their_answers_come_back_with_the_senders_address()
    {
        await using var fixture = await SocksFixture.StartAsync("{udp: true}");
        await using var control = await fixture.OpenAsync();
        var relay = await AssociateAsync(control);
        await _client.SendAsync(Datagram(Echo, "one"), relay);
        Assert.Equal(Datagram(Echo, "one"), await ReceiveAsync());
        await _client.SendAsync((byte[])[0, 0, 0, 3, 9, .. "localhost"u8, (byte)(Echo.Port >> 8), (byte)Echo.Port, .. "two"u8], relay);
        Assert.EndsWith("two", Encoding.ASCII.GetString(await ReceiveAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_datagram_is_judged_and_fragments_and_nonsense_are_dropped()
    {
        await using var fixture = await SocksFixture.StartAsync("{udp: true}", refuse: what => what is "127.0.0.2" or "blocked.example");
        await using var control = await fixture.OpenAsync();
        var relay = await AssociateAsync(control);
        using var other = new UdpClient(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
        var forbidden = (IPEndPoint)other.Client.LocalEndPoint!;
        foreach (var dropped in (byte[][])
        [
            Datagram(forbidden, "x"), [0, 0, 1, .. Datagram(Echo, "x")[3..]], [], [0, 0], [0, 0, 0, 9, 9, 9],
            [0, 0, 0, 3, 15, .. "blocked.example"u8, 0, 53, 1], [0, 0, 0, 1, 127, 0, 0, 1, 0, 0, 1],
        ])
            await _client.SendAsync(dropped, relay);
        // Datagrams keep their order here: what comes back first is the first that was let through.
        await _client.SendAsync(Datagram(Echo, "last"), relay);
        Assert.Equal(Datagram(Echo, "last"), await ReceiveAsync());
        Assert.Equal(0, other.Available);
    }

    [Fact]
    public async Task A_name_that_is_not_answered_holds_up_no_other_datagram()
    {
        using var answered = new ManualResetEventSlim();
        await using var fixture = await SocksFixture.StartAsync("{udp: true}", resolve: _ =>
        {
            answered.Wait(TimeSpan.FromSeconds(20));
            return [IPAddress.Loopback];
        });
        await using var control = await fixture.OpenAsync();
        var relay = await AssociateAsync(control);
        await _client.SendAsync((byte[])[0, 0, 0, 3, 4, .. "dead"u8, (byte)(Echo.Port >> 8), (byte)Echo.Port, .. "late"u8], relay);
        await _client.SendAsync(Datagram(Echo, "now"), relay);
        Assert.Equal(Datagram(Echo, "now"), await ReceiveAsync());
        answered.Set();
        Assert.Equal(Datagram(Echo, "late"), await ReceiveAsync());
    }

    [Fact]
    public async Task Strangers_are_heard_on_neither_side()
    {
        await using var fixture = await SocksFixture.StartAsync("{udp: true}");
        await using var control = await fixture.OpenAsync();
        var relay = await AssociateAsync(control, announced: (IPEndPoint)_client.Client.LocalEndPoint!);
        using var stranger = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        await stranger.SendAsync(Datagram(Echo, "stranger"), relay);
        await _client.SendAsync(Datagram(Echo, "mine"), relay);
        Assert.Equal(Datagram(Echo, "mine"), await ReceiveAsync());
        Assert.Equal(0, stranger.Available);
    }

    [Fact]
    public async Task The_association_ends_with_its_connection()
    {
        await using var fixture = await SocksFixture.StartAsync("{udp: true}");
        IPEndPoint relay;
        await using (var control = await fixture.OpenAsync())
            relay = await AssociateAsync(control);
        for (var i = 0; ; i++)
        {
            try
            {
                using var socket = new UdpClient(relay);
                break;
            }
            catch (SocketException) when (i < 200)
            {
                await Task.Delay(10);
            }
        }
    }

    public void Dispose()
    {
        _echo.Dispose();
        _client.Dispose();
    }

    private static async Task<IPEndPoint> AssociateAsync(NetworkStream control, IPEndPoint? announced = null)
    {
        await control.WriteAsync((byte[])[5, 1, 0, .. SocksFixture.Request(3, announced ?? new IPEndPoint(IPAddress.Any, 0))]);
        Assert.Equal([5, 0], await SocksFixture.ReadAsync(control, 2));
        var (code, bound) = await SocksFixture.ReadReplyAsync(control);
        Assert.Equal(0, code);
        return bound;
    }

    private static byte[] Datagram(IPEndPoint to, string text) =>
        [0, 0, 0, .. SocksFixture.Request(0, to)[3..], .. Encoding.ASCII.GetBytes(text)];

    private async Task<byte[]> ReceiveAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        return (await _client.ReceiveAsync(limit.Token)).Buffer;
    }

    private async Task EchoAsync()
    {
        try
        {
            while (true)
            {
                var received = await _echo.ReceiveAsync();
                await _echo.SendAsync(received.Buffer, received.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }
}
