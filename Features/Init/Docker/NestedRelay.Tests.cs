using System.Net;
using System.Net.Sockets;
using Discobot.Tests.Fixtures;
using Xunit.Abstractions;

namespace Discobot.Features.Init.Docker;

/// <summary>Between a client and a listener that stands for the proxy. Alone: what others allocate meanwhile would count as the relay's.</summary>
[Collection(nameof(Alone))]
public sealed class NestedRelayTests : IDisposable
{
    private readonly TcpListener _proxy = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _address;
    private readonly ITestOutputHelper _output;
    private readonly Task _served;

    public NestedRelayTests(ITestOutputHelper output)
    {
        _output = output;
        _proxy.Start();
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            _address = (IPEndPoint)free.LocalEndpoint;
        }

        _served = new NestedRelay(((IPEndPoint)_proxy.LocalEndpoint).Port).Listen(_address)(_stop.Token);
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

    /// <summary>Each side sends at once more than the kernel holds, and one of them begins to read late: what waits is in order, and an end comes
    /// after all of it.</summary>
    [Fact]
    public async Task Much_in_both_directions_of_many_connections_arrives_whole()
    {
        var pairs = new List<(Socket Client, Socket Proxy)>();
        for (var i = 0; i < 20; i++)
            pairs.Add(await ConnectAsync());
        await Task.WhenAll(pairs.SelectMany((pair, number) => new[]
        {
            SendAllAsync(pair.Client, Content(number)), ReceiveAllAsync(pair.Proxy, Content(number), late: true),
            SendAllAsync(pair.Proxy, Content(100 + number)), ReceiveAllAsync(pair.Client, Content(100 + number)),
        })).WaitAsync(TimeSpan.FromSeconds(60));
        pairs.ForEach(pair => pair.Client.Dispose());
        pairs.ForEach(pair => pair.Proxy.Dispose());
    }

    [Fact]
    public async Task What_is_connected_stays_so_when_the_stop_begins_and_nothing_new_is_taken()
    {
        var (client, proxy) = await ConnectAsync();
        using (client)
        using (proxy)
        {
            await _stop.CancelAsync();
            await _served.WaitAsync(TimeSpan.FromSeconds(5));
            using var late = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await Assert.ThrowsAsync<SocketException>(() => late.ConnectAsync(_address));
            await client.SendAsync("on"u8.ToArray());
            client.Shutdown(SocketShutdown.Send);
            Assert.Equal("on", await ReadToEndAsync(proxy));
        }
    }

    /// <summary>A side that is closed in both directions is told of by the kernel all the time, though what it sent has still to wait.</summary>
    [Fact]
    public async Task Waiting_for_a_side_that_does_not_read_takes_no_time_of_the_processor()
    {
        var (client, proxy) = await ConnectAsync();
        using (client)
        using (proxy)
        {
            proxy.Shutdown(SocketShutdown.Send);
            Assert.Equal("", await ReadToEndAsync(client));
            // Everything in between is full; then so much is read that the client's end gets through to the relay.
            client.SendBufferSize = 64 << 10;
            var full = SendAllAsync(client, new byte[16 << 20]);
            // By time: until nothing more fits in; that it still waits shows it.
            await Task.Delay(1000);
            Assert.False(full.IsCompleted);
            for (var step = new byte[64 << 10]; !full.IsCompleted; await Task.Delay(20))
                await proxy.ReceiveAsync(step);
            // By time: the client's end gets through to the relay, which nothing tells.
            await Task.Delay(200);
            var before = RelaysTime();
            // By time: processor time within a second.
            await Task.Delay(1000);
            Assert.True(RelaysTime() - before < TimeSpan.FromMilliseconds(300), $"{RelaysTime() - before}");
            Assert.True(proxy.Available > 0);
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

    /// <summary>Of the process, the kernel's own share aside. What the test's own two sockets cost is measured by the same connections with
    /// nothing between.</summary>
    [Fact]
    public async Task A_connection_that_waits_costs_less_than_a_KiB()
    {
        var direct = await CostAsync((IPEndPoint)_proxy.LocalEndpoint);
        var relayed = await CostAsync(_address);
        _output.WriteLine($"{relayed - direct} bytes a connection; the test's own two sockets {direct}");
        Assert.True(relayed - direct < 1024, $"{relayed - direct} bytes a connection");
    }

    private async Task<long> CostAsync(IPEndPoint address)
    {
        const int Count = 3000;
        var held = new List<Socket>(2 * Count + 2);
        try
        {
            held.AddRange(await AskAsync(address));
            var before = GC.GetTotalMemory(true);
            for (var i = 0; i < Count; i++)
                held.AddRange(await AskAsync(address));
            return (GC.GetTotalMemory(true) - before) / Count;
        }
        finally
        {
            held.ForEach(s => s.Dispose());
        }
    }

    // A connection that has been used, and waits for more.
    private async Task<Socket[]> AskAsync(IPEndPoint address)
    {
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(address);
        var proxy = await _proxy.AcceptSocketAsync();
        var buffer = new byte[3];
        await client.SendAsync("ask"u8.ToArray());
        Assert.Equal(3, await proxy.ReceiveAsync(buffer));
        await proxy.SendAsync(buffer);
        Assert.Equal(3, await client.ReceiveAsync(buffer));
        return [client, proxy];
    }

    private async Task<(Socket Client, Socket Proxy)> ConnectAsync()
    {
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(_address);
        return (client, await _proxy.AcceptSocketAsync());
    }

    private static async Task SendAllAsync(Socket socket, byte[] content)
    {
        for (var rest = content.AsMemory(); rest.Length > 0;)
            rest = rest[await socket.SendAsync(rest)..];
        socket.Shutdown(SocketShutdown.Send);
    }

    private static async Task ReceiveAllAsync(Socket socket, byte[] content, bool late = false)
    {
        if (late)
            // By time: a reader that is late.
            await Task.Delay(300);
        using var seen = new MemoryStream();
        var buffer = new byte[30_000];
        for (int read; (read = await socket.ReceiveAsync(buffer)) > 0;)
            seen.Write(buffer, 0, read);
        var actual = seen.ToArray();
        Assert.True(content.AsSpan().SequenceEqual(actual), $"{actual.Length} bytes of {content.Length}, the first {content.AsSpan().CommonPrefixLength(actual)} as sent");
    }

    private static byte[] Content(int seed)
    {
        var content = new byte[6 << 20];
        new Random(seed).NextBytes(content);
        return content;
    }

    // Of the threads that have its name: of the tests that run at once only this class has any.
    private static TimeSpan RelaysTime() => TimeSpan.FromMilliseconds(10 * Directory.GetDirectories("/proc/self/task")
        .Where(task => File.ReadAllText(task + "/comm").Trim() == "relay")
        .Sum(task => File.ReadAllText(task + "/stat").Split(' ')[13..15].Sum(long.Parse)));

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
