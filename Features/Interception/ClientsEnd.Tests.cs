using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>A client ends its direction, or leaves: its server sees what it would see without a proxy. The same server and client without one are the
/// measure.</summary>
public sealed class ClientsEndTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private const string Blob = "/v2/team/app/blobs/sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static TheoryData<string, string> Requests()
    {
        var data = new TheoryData<string, string>();
        foreach (var way in (string[])["direct", "direct tls", "plain", "tunnel", "tls"])
        {
            data.Add(way, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            data.Add(way, "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc");
            data.Add(way, "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task A_server_that_thinks_hears_that_no_more_requests_come_and_its_answer_arrives(string way, string request)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await ReadRequestAsync(peer);
            if (await peer.Stream.ReadAsync(new byte[1]) == 0)
                await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nheard!");
        }, Certificate(way));
        await using var client = await ConnectAsync(way, origin);
        await SayAsync(client, way, origin, request);
        await client.EndOutputAsync();

        Assert.EndsWith("\r\n\r\nheard!", await client.ReadUntilAsync(null), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("direct tls", "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")]
    [InlineData("tls", "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")]
    [InlineData("tls", "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc")]
    [InlineData("tls", "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")]
    public async Task It_hears_an_end_that_was_said_in_TLS_alone(string way, string request)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await ReadRequestAsync(peer);
            if (await peer.Stream.ReadAsync(new byte[1]) == 0)
                await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nheard!");
        }, Certificate(way));
        await using var client = await ConnectAsync(way, origin);
        await SayAsync(client, way, origin, request);
        await ((SslStream)client.Stream).ShutdownAsync();

        Assert.EndsWith("\r\n\r\nheard!", await client.ReadUntilAsync("heard!"), StringComparison.Ordinal);
    }

    // What looks for an end must take nothing from what comes instead.
    [Theory]
    [InlineData("direct tls")]
    [InlineData("tls")]
    public async Task Requests_that_come_while_a_server_thinks_are_answered_in_their_order(string way)
    {
        var sent = new TaskCompletionSource();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
            {
                if (head.Contains("/1", StringComparison.Ordinal))
                    await sent.Task;
                await peer.SayAsync(Ok.Replace("ok", head.Split(' ')[1].Trim('/').PadLeft(2, '0'), StringComparison.Ordinal));
            }
        }, Certificate(way));
        await using var client = await ConnectAsync(way, origin);
        await SayAsync(client, way, origin, "GET /1 HTTP/1.1\r\nHost: {host}\r\n\r\n");
        await Eventually.TrueAsync(() => Task.FromResult(!origin.Heads.IsEmpty));
        // In pieces, over more than the time after which it is looked.
        foreach (var piece in (string[])["GET /2 HTTP/1.1\r\n", "Host: {host}\r\n", "\r\nGET /3 HTTP/1.1\r\nHost: {host}\r\n\r\n"])
        {
            await SayAsync(client, way, origin, piece);
            await Task.Delay(300);
        }

        sent.SetResult();
        foreach (var number in (string[])["01", "02", "03"])
            Assert.EndsWith($"\r\n\r\n{number}", await client.ReadUntilAsync($"\r\n\r\n{number}"), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task A_server_that_thinks_hears_that_its_client_has_left(string way, string request)
    {
        var (asked, heard) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await ReadRequestAsync(peer);
            asked.SetResult();
            await Wire.ReadUntilAsync(peer.Stream, null);
            heard.SetResult();
        }, Certificate(way));
        await using (var client = await ConnectAsync(way, origin))
        {
            await SayAsync(client, way, origin, request);
            await asked.Task.WaitAsync(Limit);
        }

        await heard.Task.WaitAsync(Limit);
    }

    [Theory]
    [InlineData("direct")]
    [InlineData("plain")]
    [InlineData("tls")]
    public async Task A_server_in_the_middle_of_its_answer_hears_it_too(string way)
    {
        var heard = new TaskCompletionSource();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nid:\n\r\n");
            await Wire.ReadUntilAsync(peer.Stream, null);
            heard.SetResult();
        }, Certificate(way));
        await using (var client = await ConnectAsync(way, origin))
        {
            await SayAsync(client, way, origin, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            await client.ReadUntilAsync("id:\n");
        }

        await heard.Task.WaitAsync(Limit);
    }

    [Theory]
    [InlineData("direct")]
    [InlineData("direct tls")]
    [InlineData("plain")]
    [InlineData("tunnel")]
    [InlineData("tls")]
    public async Task The_end_comes_behind_the_last_of_several_requests(string way)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
                await peer.SayAsync(head.Contains("/3", StringComparison.Ordinal) && await peer.ReadHeadAsync() is null ? Ok.Replace("ok", "no", StringComparison.Ordinal) : Ok);
        }, Certificate(way));
        await using var client = await ConnectAsync(way, origin);
        await client.Stream.WriteAsync(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(1, 3).Select(i => Request(way, origin, $"GET /{i} HTTP/1.1\r\nHost: {{host}}\r\n\r\n")))));
        await client.EndOutputAsync();

        var answers = await client.ReadUntilAsync(null);
        Assert.Equal(["HTTP", "ok", "ok", "no"], answers.Split("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").Select((part, i) => i == 0 ? "HTTP" : part));
        Assert.Equal(3, origin.Heads.Count);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("tls")]
    public async Task A_connection_that_was_ended_so_serves_nobody_else(string way)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
            {
                if (head.Contains("/end", StringComparison.Ordinal))
                    await Wire.ReadUntilAsync(peer.Stream, null);
                await peer.SayAsync(Ok);
            }
        }, Certificate(way));
        foreach (var path in (string[])["end", "next", "end"])
        {
            await using var client = await ConnectAsync(way, origin);
            await SayAsync(client, way, origin, $"GET /{path} HTTP/1.1\r\nHost: {{host}}\r\n\r\n");
            if (path == "end")
                await client.EndOutputAsync();
            Assert.EndsWith("\r\n\r\nok", await client.ReadUntilAsync("\r\n\r\nok"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_server_that_gives_up_is_not_asked_again()
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync(Ok);
            await peer.ReadHeadAsync();
            await Wire.ReadUntilAsync(peer.Stream, null);
        });
        await using (var first = await ConnectAsync("plain", origin))
            Assert.EndsWith("ok", await Wire.AskAsync(first.Stream, Request("plain", origin, "GET /1 HTTP/1.1\r\nHost: {host}\r\n\r\n")), StringComparison.Ordinal);
        await using var client = await ConnectAsync("plain", origin);
        await SayAsync(client, "plain", origin, "GET /2 HTTP/1.1\r\nHost: {host}\r\n\r\n");
        await Eventually.TrueAsync(() => Task.FromResult(origin.Heads.Count == 2));
        await client.EndOutputAsync();

        Assert.StartsWith("HTTP/1.1 502 ", await client.ReadUntilAsync(null), StringComparison.Ordinal);
        Assert.Equal((2, 1), (origin.Heads.Count, origin.Connections));
    }

    // The end is still on its way behind a request that the server does not read: what ends the connection then is no answer to it.
    [Fact]
    public async Task A_request_is_sent_again_where_the_server_closed_before_it_had_heard_of_the_end()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Server.ReceiveBufferSize = 2048;
        listener.Start();
        var port = ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
        async Task<string> AskAsync(string fields, bool isLast)
        {
            var tcp = (NetworkStream)await Wire.ConnectAsync(fixture.Running, "plain", "");
            await using var client = new Client(tcp, tcp.Socket);
            await client.Stream.WriteAsync(Encoding.ASCII.GetBytes($"GET http://localhost:{port}/ HTTP/1.1\r\nHost: localhost:{port}\r\n{fields}\r\n"));
            if (isLast)
                await client.EndOutputAsync();
            return await client.ReadUntilAsync(isLast ? null : "\r\n\r\nok");
        }

        static async Task AnswerAsync(Socket server)
        {
            var stream = new NetworkStream(server);
            await Wire.ReadUntilAsync(stream, "\r\n\r\n");
            await stream.WriteAsync(Encoding.ASCII.GetBytes(Ok));
        }

        var asked = AskAsync("", isLast: false);
        using var first = await listener.AcceptSocketAsync();
        await AnswerAsync(first);
        Assert.EndsWith("ok", await asked.WaitAsync(Limit), StringComparison.Ordinal);
        asked = AskAsync($"X: {new string('x', 30_000)}\r\n", isLast: true);
        // FIN_WAIT1: ended, and that not acknowledged.
        var ours = $"{((System.Net.IPEndPoint)first.RemoteEndPoint!).Port:X4} 0100007F:{port:X4} 04";
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync("/proc/net/tcp")).Contains(ours, StringComparison.Ordinal));
        first.Dispose();
        using var second = await listener.AcceptSocketAsync().WaitAsync(Limit);
        await AnswerAsync(second);

        Assert.EndsWith("\r\n\r\nok", await asked.WaitAsync(Limit), StringComparison.Ordinal);
    }

    /// <summary>A download that is stored is not its first client's alone.</summary>
    [Fact]
    public async Task A_download_that_others_may_want_goes_on()
    {
        var left = new TaskCompletionSource();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
            {
                if (head.Contains(Blob, StringComparison.Ordinal))
                    await left.Task;
                await peer.SayAsync(Ok);
            }
        });
        await using var client = await ConnectAsync("plain", origin);
        await SayAsync(client, "plain", origin, $"GET {Blob} HTTP/1.1\r\nHost: {{host}}\r\n\r\n");
        await Eventually.TrueAsync(() => Task.FromResult(!origin.Heads.IsEmpty));
        await client.EndOutputAsync();
        await using (var other = await ConnectAsync("plain", origin))
            left.SetResult();
        Assert.EndsWith("\r\n\r\nok", await client.ReadUntilAsync(null), StringComparison.Ordinal);
        await using var next = await ConnectAsync("plain", origin);
        Assert.EndsWith("ok", await Wire.AskAsync(next.Stream, Request("plain", origin, "GET /next HTTP/1.1\r\nHost: {host}\r\n\r\n")), StringComparison.Ordinal);
        Assert.Equal(1, origin.Connections);
    }

    [Theory]
    [InlineData("direct")]
    [InlineData("direct tls")]
    [InlineData("plain")]
    [InlineData("tunnel")]
    [InlineData("tls")]
    public async Task A_server_may_end_its_direction_of_an_upgraded_connection_first(string way)
    {
        var heard = new TaskCompletionSource<string>();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\nbye");
            if (peer.Stream is SslStream tls)
                await tls.ShutdownAsync();
            else
                peer.Socket.Shutdown(SocketShutdown.Send);
            heard.SetResult(await Wire.ReadUntilAsync(peer.Stream, null));
        }, Certificate(way));
        await using var client = await ConnectAsync(way, origin);
        await SayAsync(client, way, origin, "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n");

        Assert.EndsWith("\r\n\r\nbye", await client.ReadUntilAsync(null), StringComparison.Ordinal);
        await client.Stream.WriteAsync("still here"u8.ToArray());
        await client.EndOutputAsync();
        Assert.Equal("still here", await heard.Task.WaitAsync(Limit));
    }

    // What ends with the connection, as what is relayed does, would look whole otherwise.
    [Theory]
    [InlineData("direct", true)]
    [InlineData("plain", true)]
    [InlineData("tunnel", true)]
    [InlineData("socks", true)]
    [InlineData("direct-tls", true)]
    [InlineData("tls", true)]
    [InlineData("direct-tls", false)]
    [InlineData("tls", false)]
    [InlineData("direct", false)]
    [InlineData("plain", false)]
    [InlineData("tunnel", false)]
    [InlineData("socks", false)]
    public async Task A_reset_is_no_end_in_order_on_the_other_side(string way, bool isServers)
    {
        var ending = new TaskCompletionSource<string>();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\nhello");
            await peer.Stream.ReadExactlyAsync(new byte[1]);
            if (!isServers)
            {
                // Whoever resets may take back what they said last, so they wait until it was heard.
                await peer.SayAsync("heard");
                ending.SetResult(await EndingAsync(peer.Stream));
                return;
            }

            peer.Socket.LingerState = new LingerOption(true, 0);
            // The stream would say the end in order first.
            peer.Socket.Dispose();
        }, Certificate(way));
        await using var client = await ConnectAsync(way, origin);
        await SayAsync(client, way, origin, "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n");
        await client.ReadUntilAsync("hello");
        await client.Stream.WriteAsync("x"u8.ToArray());
        if (isServers)
        {
            Assert.Equal("reset", await EndingAsync(client.Stream).WaitAsync(Limit));
            return;
        }

        await client.ReadUntilAsync("heard");
        client.Socket.LingerState = new LingerOption(true, 0);
        client.Socket.Dispose();
        Assert.Equal("reset", await ending.Task.WaitAsync(Limit));
    }

    [Theory]
    [InlineData("direct", "Content-Length: 9000000", "")]
    [InlineData("plain", "Content-Length: 9000000", "")]
    [InlineData("tunnel", "Content-Length: 9000000", "")]
    [InlineData("direct", "Transfer-Encoding: chunked", "7a1200\r\n")]
    [InlineData("plain", "Transfer-Encoding: chunked", "7a1200\r\n")]
    public async Task What_a_server_said_before_it_broke_off_reaches_also_who_reads_late(string way, string framing, string size)
    {
        const int Said = 300_000;
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync($"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{size}{new string('x', Said)}");
        });
        await using var client = await ConnectAsync(way, origin);
        client.Socket.ReceiveBufferSize = 8 << 10;
        await SayAsync(client, way, origin, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        var (count, buffer) = (0, new byte[4096]);
        int read;
        // A reset would throw.
        while ((read = await client.Stream.ReadAsync(buffer).AsTask().WaitAsync(Limit)) > 0)
            count += buffer.AsSpan(0, read).Count((byte)'x');

        Assert.Equal(Said, count);
    }

    [Theory]
    [InlineData("direct", "Content-Length: 10\r\n\r\nabc", "abc")]
    [InlineData("plain", "Content-Length: 10\r\n\r\nabc", "abc")]
    [InlineData("tls", "Content-Length: 10\r\n\r\nabc", "abc")]
    [InlineData("plain", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "3\r\nabc\r\n")]
    public async Task Of_a_body_that_ends_too_early_the_server_gets_what_there_was(string way, string rest, string expected)
    {
        var heard = new TaskCompletionSource<string>();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            heard.SetResult(await Wire.ReadUntilAsync(peer.Stream, null));
        }, Certificate(way));
        await using var client = await ConnectAsync(way, origin);
        await SayAsync(client, way, origin, "POST / HTTP/1.1\r\nHost: {host}\r\n" + rest);
        await client.EndOutputAsync();

        Assert.Equal(expected, await heard.Task.WaitAsync(Limit));
    }

    private static async Task<string> EndingAsync(Stream stream)
    {
        try
        {
            return await stream.ReadAsync(new byte[1]) == 0 ? "end" : "more";
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            return "reset";
        }
    }

    private async Task<Client> ConnectAsync(string way, ScriptedOrigin origin)
    {
        if (way == "socks")
            return await ConnectBySocksAsync(origin);
        var isDirect = way.StartsWith("direct", StringComparison.Ordinal);
        var tcp = (NetworkStream)(isDirect
            ? new TcpClient("127.0.0.1", int.Parse(origin.Authority.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture)) { NoDelay = true }.GetStream()
            : await Wire.ConnectAsync(fixture.Running, way == "tls" ? "tunnel" : way, origin.Authority));
        if (!way.EndsWith("tls", StringComparison.Ordinal))
            return new Client(tcp, tcp.Socket);
        var tls = new SslStream(tcp);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", CertificateChainPolicy = isDirect ? fixture.Running.Upstreams.TrustOnlyThis() : fixture.Running.TrustOnlyOurCa() });
        return new Client(tls, tcp.Socket);
    }

    private async Task<Client> ConnectBySocksAsync(ScriptedOrigin origin)
    {
        var port = ushort.Parse(origin.Authority.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture);
        var stream = new TcpClient("127.0.0.1", fixture.Running.Port) { NoDelay = true }.GetStream();
        await stream.WriteAsync((byte[])[5, 1, 0, 5, 1, 0, 3, 9, .. "localhost"u8, (byte)(port >> 8), (byte)port]);
        await stream.ReadExactlyAsync(new byte[12]);
        return new Client(stream, stream.Socket);
    }

    private X509Certificate2? Certificate(string way) =>
        way.EndsWith("tls", StringComparison.Ordinal) ? fixture.Certificate : null;

    private static string Request(string way, ScriptedOrigin origin, string request) =>
        (way == "plain" ? request.Replace(" /", $" http://{origin.Authority}/", StringComparison.Ordinal) : request)
            .Replace("{host}", origin.Authority, StringComparison.Ordinal);

    private static Task SayAsync(Client client, string way, ScriptedOrigin origin, string request) =>
        client.Stream.WriteAsync(Encoding.ASCII.GetBytes(Request(way, origin, request))).AsTask();

    private static async Task ReadRequestAsync(ScriptedOrigin.Peer peer)
    {
        var head = await peer.ReadHeadAsync();
        if (head?.Contains("chunked", StringComparison.OrdinalIgnoreCase) == true)
            await Wire.ReadUntilAsync(peer.Stream, "0\r\n\r\n");
        else if (head?.Contains("Content-Length", StringComparison.OrdinalIgnoreCase) == true)
            await peer.Stream.ReadExactlyAsync(new byte[3]);
    }

    /// <summary>A connection to the server or the proxy.</summary>
    private sealed record Client(Stream Stream, Socket Socket) : IAsyncDisposable
    {
        public Task<string> ReadUntilAsync(string? end) => Wire.ReadUntilAsync(Stream, end).WaitAsync(Limit);

        public async Task EndOutputAsync()
        {
            if (Stream is SslStream tls)
                await tls.ShutdownAsync();
            Socket.Shutdown(SocketShutdown.Send);
        }

        public ValueTask DisposeAsync()
        {
            Socket.Dispose();
            return Stream.DisposeAsync();
        }
    }
}
