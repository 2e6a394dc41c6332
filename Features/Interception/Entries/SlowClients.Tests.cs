using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception.Entries;

/// <summary>Clients that hold connections without using them: slow heads, silence, and too many of both.</summary>
public sealed class SlowClientsTests
{
    [Theory]
    [InlineData("CONNECT localhost:443 HTTP/1.1\r\nX: ")]
    [InlineData("GET http://localhost/ HTTP/1.1\r\nX: ")]
    public async Task A_head_that_trickles_in_is_cut_off_with_408(string start)
    {
        await using var proxy = await RunningProxy.StartAsync(proxySection: ", read_timeout: 1s");
        using var tcp = new TcpClient("127.0.0.1", proxy.Port);
        var watch = Stopwatch.StartNew();
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(start));
        var trickle = TrickleAsync(tcp.GetStream());

        var answer = await new StreamReader(tcp.GetStream()).ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(10));

        Assert.StartsWith("HTTP/1.1 408 Request Timeout", answer, StringComparison.Ordinal);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0.5, 8);
        tcp.Close();
        await trickle;
    }

    // Whatever it begins with, and however the bytes are spread, the time runs from the first of them.
    [Theory]
    [InlineData("", "CON", 408)]
    [InlineData("", "CONNECT localhost", 408)]
    [InlineData("", "GET http://loc", 408)]
    [InlineData("", "\r\nGET http://loc", 408)]
    [InlineData("", "\r\n\r\nCONNECT localhost", 408)]
    [InlineData("", "\u0005\u0002", 0)]
    [InlineData("CONNECT localhost:9 HTTP/1.1\r\n\r\n", "PRI", 408)]
    [InlineData("CONNECT localhost:9 HTTP/1.1\r\n\r\n", "GET /", 408)]
    [InlineData("CONNECT localhost:9 HTTP/1.1\r\n\r\n", "GE", 408)]
    [InlineData("CONNECT localhost:9 HTTP/1.1\r\n\r\n", "\r\nGET / HTTP/1.1", 408)]
    [InlineData("CONNECT localhost:9 HTTP/1.1\r\n\r\n", "\u0016\u0003\u0001\u0002\u0000\u0001", 0)]
    public async Task A_beginning_that_does_not_go_on_is_held_no_longer_than_a_head(string opening, string beginning, int status)
    {
        await using var proxy = await RunningProxy.StartAsync(proxySection: ", read_timeout: 1500ms");
        using var tcp = new TcpClient("127.0.0.1", proxy.Port);
        var stream = tcp.GetStream();
        if (opening.Length > 0)
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(opening));
            Assert.True(await stream.ReadAsync(new byte[200]) > 0);
        }

        var watch = Stopwatch.StartNew();
        var spread = SpreadAsync(stream, Encoding.Latin1.GetBytes(beginning));
        var answer = await ReadToEndAsync(stream).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(status == 0 ? "" : $"HTTP/1.1 {status} ", answer.Length < 13 ? answer : answer[..13]);
        Assert.InRange(watch.Elapsed.TotalSeconds, 1, 6);
        await spread;
    }

    private static async Task SpreadAsync(NetworkStream stream, byte[] bytes)
    {
        try
        {
            foreach (var one in bytes)
            {
                await stream.WriteAsync(new[] { one });
                await Task.Delay(1200 / bytes.Length);
            }
        }
        catch (IOException)
        {
            // Closed before the last of them, on a machine that is slow to send: the answer tells.
        }
    }

    private static async Task<string> ReadToEndAsync(NetworkStream stream)
    {
        try
        {
            return await new StreamReader(stream).ReadToEndAsync();
        }
        catch (IOException)
        {
            // Closing with unread bytes resets.
            return "";
        }
    }

    [Fact]
    public async Task Silence_instead_of_a_first_byte_or_of_a_TLS_hello_ends_the_connection()
    {
        await using var proxy = await RunningProxy.StartAsync(tls: ", passthrough: [none.test]");
        using var silent = new TcpClient("127.0.0.1", proxy.Port);
        using var half = new TcpClient("127.0.0.1", proxy.Port);
        await half.GetStream().WriteAsync("CONNECT localhost:443 HTTP/1.1\r\n\r\n\x16\x03\x01"u8.ToArray());

        Assert.Equal(0, await silent.GetStream().ReadAsync(new byte[1]).AsTask().WaitAsync(TimeSpan.FromSeconds(8)));
        var answer = await new StreamReader(half.GetStream()).ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(15));
        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connections_beyond_the_limit_are_closed_and_those_below_it_served()
    {
        await using var proxy = await RunningProxy.StartAsync(proxySection: ", max_connections: 20, read_timeout: 60s");
        await using var origin = RawOrigin.Start();
        var idle = Enumerable.Range(0, 20).Select(_ => new TcpClient("127.0.0.1", proxy.Port)).ToList();
        // One that says nothing at all is let go after 5 s.
        idle.ForEach(client => client.GetStream().Write("G"u8));
        await Eventually.TrueAsync(() => IsClosedAsync(proxy.Port));
        using var api = proxy.Api();
        Assert.Contains("ok", await api.GetStringAsync(new Uri("/health", UriKind.Relative)), StringComparison.Ordinal);

        idle.ForEach(client => client.Dispose());
        await Eventually.TrueAsync(async () => !await IsClosedAsync(proxy.Port));
        using var client = proxy.Client();
        Assert.Equal("ok", await client.GetStringAsync(new Uri($"http://localhost:{origin.Port}/")));
    }

    [Fact]
    public async Task Two_thousand_idle_connections_keep_nobody_from_being_served()
    {
        await using var proxy = await RunningProxy.StartAsync();
        await using var origin = RawOrigin.Start();
        using var client = proxy.Client();
        var flood = new List<Socket>();
        try
        {
            for (var i = 0; i < 2000; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                flood.Add(socket);
                await socket.ConnectAsync("127.0.0.1", proxy.Port);
            }

            Assert.Equal("ok", await client.GetStringAsync(new Uri($"http://localhost:{origin.Port}/")));
            // Those that say nothing are let go after 5 s.
            Assert.Equal(0, await flood[0].ReceiveAsync(new byte[1]).WaitAsync(TimeSpan.FromSeconds(15)));
        }
        finally
        {
            flood.ForEach(socket => socket.Dispose());
        }
    }

    [Fact]
    public async Task An_answer_that_nobody_takes_is_given_up_and_one_that_is_taken_slowly_is_not()
    {
        await using var proxy = await RunningProxy.StartAsync(proxySection: ", write_timeout: 5s");
        var ended = new TaskCompletionSource();
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            var endless = context.Request.Path == "/endless";
            using var gone = context.RequestAborted.Register(() => ended.TrySetResult());
            for (var i = 0; (endless || i < 200) && !context.RequestAborted.IsCancellationRequested; i++)
                await context.Response.Body.WriteAsync(new byte[64 * 1024]);
        });
        using var stuck = new TcpClient("127.0.0.1", proxy.Port);
        await stuck.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"GET {origin.Http}/endless HTTP/1.1\r\nHost: localhost:{origin.HttpPort}\r\n\r\n"));
        using var client = proxy.Client();
        await using var slow = await client.GetStreamAsync(new Uri(origin.Http + "/slow"));
        var (buffer, total) = (new byte[1 << 20], 0L);
        while (await slow.ReadAsync(buffer) is var count and > 0)
        {
            total += count;
            await Task.Delay(count / 20_000);
        }

        Assert.Equal(200 * 64 * 1024, total);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(40));
    }

    [Fact]
    public async Task A_client_that_takes_a_little_all_the_time_is_not_taken_for_one_that_takes_nothing()
    {
        await using var proxy = await RunningProxy.StartAsync(proxySection: ", write_timeout: 3s");
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => context.Response.Body.WriteAsync(new byte[8 << 20]).AsTask());
        using var slow = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 32 << 10 };
        await slow.ConnectAsync("127.0.0.1", proxy.Port);
        await slow.SendAsync(Encoding.ASCII.GetBytes($"GET {origin.Http}/ HTTP/1.1\r\nHost: localhost:{origin.HttpPort}\r\n\r\n"));
        for (var (taken, buffer) = (0, new byte[2000]); taken < 400_000; await Task.Delay(50))
        {
            var count = await slow.ReceiveAsync(buffer);
            Assert.True(count > 0, $"cut off after {taken} bytes");
            taken += count;
        }
    }

    private static async Task<bool> IsClosedAsync(int port)
    {
        using var tcp = new TcpClient("127.0.0.1", port);
        try
        {
            return await tcp.GetStream().ReadAsync(new byte[1]).AsTask().WaitAsync(TimeSpan.FromMilliseconds(500)) == 0;
        }
        catch (TimeoutException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static async Task TrickleAsync(NetworkStream stream)
    {
        try
        {
            while (true)
            {
                await Task.Delay(100);
                await stream.WriteAsync("a"u8.ToArray());
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // Cut off.
        }
    }
}
