using System.Net;
using System.Net.Sockets;
using Xunit.Abstractions;

namespace Discobot.Features.Init;

/// <summary>Between a client and a listener that stands for the proxy.</summary>
public sealed class NestedRelayTests : IDisposable
{
    private readonly TcpListener _proxy = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _address;
    private readonly ITestOutputHelper _output;

    public NestedRelayTests(ITestOutputHelper output)
    {
        _output = output;
        _proxy.Start();
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            _address = (IPEndPoint)free.LocalEndpoint;
        }

        _ = new NestedRelay(((IPEndPoint)_proxy.LocalEndpoint).Port).Listen(_address)(_stop.Token);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
        _proxy.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_reset_of_either_side_is_the_others_at_once_though_nothing_is_under_way(bool byClient)
    {
        var (client, proxy) = await ConnectAsync();
        using (client)
        using (proxy)
        {
            var (ends, stays) = byClient ? (client, proxy) : (proxy, client);
            ends.LingerState = new LingerOption(true, 0);
            ends.Dispose();
            var error = await Assert.ThrowsAsync<SocketException>(() => stays.ReceiveAsync(new byte[1]).WaitAsync(TimeSpan.FromSeconds(5)));
            Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_end_of_one_direction_leaves_the_other_open(bool byClient)
    {
        var (client, proxy) = await ConnectAsync();
        using (client)
        using (proxy)
        {
            var (asks, answers) = byClient ? (client, proxy) : (proxy, client);
            await asks.SendAsync("all"u8.ToArray());
            asks.Shutdown(SocketShutdown.Send);
            Assert.Equal("all", await ReadToEndAsync(answers));
            var much = new byte[3 << 20];
            Random.Shared.NextBytes(much);
            var sending = answers.SendAsync(much);
            var seen = new byte[much.Length];
            for (var length = 0; length < seen.Length;)
                length += await asks.ReceiveAsync(seen.AsMemory(length)).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
            await sending;
            Assert.Equal(much, seen);
            answers.Shutdown(SocketShutdown.Send);
            Assert.Equal("", await ReadToEndAsync(asks));
        }
    }

    [Fact]
    public async Task A_proxy_that_is_gone_ends_the_connection()
    {
        _proxy.Stop();
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        var error = await Assert.ThrowsAsync<SocketException>(async () =>
        {
            await client.ConnectAsync(_address);
            await ReadToEndAsync(client);
        });
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
    }

    /// <summary>Of the process, the kernel's own share aside: two sockets and two directions that wait, without a buffer.</summary>
    [Fact]
    public async Task A_connection_that_waits_holds_no_buffer()
    {
        const int Count = 500;
        var held = new List<Socket>();
        var (client, proxy) = await ConnectAsync();
        held.AddRange([client, proxy]);
        var before = GC.GetTotalMemory(true);
        for (var i = 0; i < Count; i++)
        {
            (client, proxy) = await ConnectAsync();
            await client.SendAsync("ask"u8.ToArray());
            Assert.Equal(3, await proxy.ReceiveAsync(new byte[9]));
            held.AddRange([client, proxy]);
        }

        var each = (GC.GetTotalMemory(true) - before) / Count;
        _output.WriteLine($"{each} bytes a connection, the test's own two sockets included");
        held.ForEach(s => s.Dispose());
        Assert.True(each < 16 * 1024, $"{each} bytes a connection");
    }

    private async Task<(Socket Client, Socket Proxy)> ConnectAsync()
    {
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(_address);
        return (client, await _proxy.AcceptSocketAsync());
    }

    private static async Task<string> ReadToEndAsync(Socket socket)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        var text = "";
        var buffer = new byte[100];
        for (int read; (read = await socket.ReceiveAsync(buffer, limit.Token)) > 0;)
            text += System.Text.Encoding.ASCII.GetString(buffer, 0, read);
        return text;
    }
}
