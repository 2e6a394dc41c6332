using System.Net.Sockets;
using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>HTTP/1.1 towards clients: what they may do on a connection, and what they are told.</summary>
public sealed class Http1ClientsTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n", 400, "bad_request")]
    [InlineData("GET /{40000} HTTP/1.1\r\nHost: {host}\r\n\r\n", 414, "uri_too_long")]
    [InlineData("GET / HTTP/1.1\r\nHost: {host}\r\nX: {70000}\r\n\r\n", 431, "head_too_large")]
    [InlineData("GET / HTTP/3.0\r\nHost: {host}\r\n\r\n", 505, "http_version")]
    [InlineData("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "transfer_coding")]
    public async Task What_cannot_be_read_is_refused_with_a_reason_that_can(string request, int status, string code)
    {
        await using var origin = ScriptedOrigin.Start(ServeAsync);
        await using var client = await Wire.ConnectAsync(fixture.Running, "tunnel", origin.Authority);
        foreach (var size in (int[])[40_000, 70_000])
            request = request.Replace($"{{{size}}}", new string('a', size), StringComparison.Ordinal);
        await client.WriteAsync(Encoding.Latin1.GetBytes(request.Replace("{host}", origin.Authority, StringComparison.Ordinal)));

        var answer = await Wire.ReadUntilAsync(client, null).WaitAsync(Limit);

        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Contains($"X-Discobot-Error: {code}\r\n", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close\r\n", answer, StringComparison.Ordinal);
        Assert.Contains($"{{\"error\":\"{code}\"", answer, StringComparison.Ordinal);
        Assert.Empty(origin.Heads);
    }

    [Theory]
    [InlineData("OPTIONS http://{host} HTTP/1.1", "OPTIONS * HTTP/1.1")]
    [InlineData("OPTIONS http://{host}/ HTTP/1.1", "OPTIONS / HTTP/1.1")]
    [InlineData("GET http://{host} HTTP/1.1", "GET / HTTP/1.1")]
    public async Task What_asks_about_the_server_and_not_about_its_first_page_stays_so(string sent, string seen)
    {
        await using var origin = ScriptedOrigin.Start(ServeAsync);
        using var client = new TcpClient("127.0.0.1", fixture.Running.Port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"{sent}\r\nHost: {{host}}\r\nConnection: close\r\n\r\n".Replace("{host}", origin.Authority, StringComparison.Ordinal)));
        await Wire.ReadUntilAsync(client.GetStream(), null).WaitAsync(Limit);
        Assert.StartsWith(seen + "\r\n", Assert.Single(origin.Heads), StringComparison.Ordinal);
    }

    /// <summary>A server that is a proxy itself, or thinks so, is the client's own affair.</summary>
    [Theory]
    [InlineData("tunnel")]
    [InlineData("plain")]
    public async Task What_a_server_says_of_a_proxys_authentication_is_its_clients(string way)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=\"there\"\r\nProxy-Authentication-Info: x\r\nContent-Length: 0\r\n\r\n");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes($"GET {(way == "plain" ? $"http://{origin.Authority}" : "")}/ HTTP/1.1\r\nHost: {origin.Authority}\r\nConnection: close\r\n\r\n"));
        Assert.Contains("\r\nProxy-Authenticate: Digest realm=\"there\"\r\nProxy-Authentication-Info: x\r\n", await Wire.ReadUntilAsync(client, null).WaitAsync(Limit), StringComparison.Ordinal);
    }

    /// <summary>RFC 3986, 3.2.3: digits, as many as there are.</summary>
    [Theory]
    [InlineData("{host}:")]
    [InlineData("{host}:0000{port}")]
    public async Task A_port_may_be_empty_and_have_zeros_in_front(string host)
    {
        await using var origin = ScriptedOrigin.Start(ServeAsync);
        host = host.Replace("{host}", origin.Authority.Split(':')[0], StringComparison.Ordinal).Replace("{port}", origin.Authority.Split(':')[1], StringComparison.Ordinal);
        await using var client = await Wire.ConnectAsync(fixture.Running, "tunnel", origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        Assert.StartsWith("HTTP/1.1 200 ", await Wire.ReadUntilAsync(client, null).WaitAsync(Limit), StringComparison.Ordinal);
        Assert.EndsWith($"\r\nHost: {host}", Assert.Single(origin.Heads), StringComparison.Ordinal);
    }

    // As `docker exec` and `docker attach` do.
    [Theory]
    [InlineData("tunnel")]
    [InlineData("tls")]
    public async Task A_request_with_a_body_may_ask_for_another_protocol_which_begins_behind_it(string way)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            var body = new byte[6];
            await peer.Stream.ReadExactlyAsync(body);
            await peer.SayAsync("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nX-Body: " + Encoding.ASCII.GetString(body) + "\r\n\r\nwelcome\n");
            await peer.SayAsync((await Wire.ReadUntilAsync(peer.Stream, null)).ToUpperInvariant());
        }, way == "tls" ? fixture.Certificate : null);
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /exec/1/start HTTP/1.1\r\nHost: {origin.Authority}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 6\r\n\r\n{{\"a\":1early "));

        var head = await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit);
        Assert.StartsWith("HTTP/1.1 101 UPGRADED\r\n", head, StringComparison.Ordinal);
        Assert.Contains("X-Body: {\"a\":1\r\n", head, StringComparison.Ordinal);
        Assert.Contains("Upgrade: tcp\r\n", head, StringComparison.Ordinal);
        Assert.Equal("welcome\n", await Wire.ReadUntilAsync(client, "\n").WaitAsync(Limit));
        await client.WriteAsync("late"u8.ToArray());
        await EndOutputAsync(client);
        Assert.Equal("EARLY LATE", await Wire.ReadUntilAsync(client, null).WaitAsync(Limit));
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("tunnel")]
    [InlineData("tls")]
    public async Task Who_has_said_all_and_ends_its_direction_gets_the_answer(string way)
    {
        var ended = new TaskCompletionSource();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await ended.Task;
            // By time: longer than the kernel asks who is still there.
            await Task.Delay(1500);
            await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }, way == "tls" ? fixture.Certificate : null);
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes($"GET {Target(way, origin)} HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n"));
        await EndOutputAsync(client);
        ended.SetResult();

        Assert.EndsWith("\r\n\r\nok", await Wire.ReadUntilAsync(client, null).WaitAsync(Limit), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_whose_connection_is_reset_while_its_server_thinks_ends_the_request()
    {
        var ended = new TaskCompletionSource();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            if (await peer.ReadHeadAsync() is null)
                ended.SetResult();
        });
        await using (var client = await Wire.ConnectAsync(fixture.Running, "tunnel", origin.Authority))
        {
            await client.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n"));
            await Eventually.TrueAsync(() => Task.FromResult(!origin.Heads.IsEmpty));
            ((NetworkStream)client).Socket.LingerState = new LingerOption(true, 0);
        }

        await ended.Task.WaitAsync(Limit);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("tls")]
    public async Task A_body_waits_for_the_servers_own_go_ahead_and_hints_come_before_the_answer(string way)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 100 Go on\r\nX-Quota: 5\r\n\r\n");
            await peer.Stream.ReadExactlyAsync(new byte[4]);
            await peer.SayAsync("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }, way == "tls" ? fixture.Certificate : null);
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes($"PUT {Target(way, origin)} HTTP/1.1\r\nHost: {origin.Authority}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"));

        Assert.Equal("HTTP/1.1 100 Go on\r\nX-Quota: 5\r\n\r\n", await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit));
        await client.WriteAsync("body"u8.ToArray());
        Assert.Equal("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit));
        Assert.Equal("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit));
        Assert.Contains("Expect: 100-continue", origin.Heads.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_final_answer_instead_of_the_go_ahead_ends_the_connection_as_nobody_knows_what_comes_next()
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "tunnel", origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes($"PUT / HTTP/1.1\r\nHost: {origin.Authority}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"));

        Assert.Equal("HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", await Wire.ReadUntilAsync(client, null).WaitAsync(Limit));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Connection: keep-alive\r\n")]
    public async Task HTTP_1_0_gets_no_chunks_and_keeps_its_connection_where_it_asks_for_it(string keep)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
                await peer.SayAsync(head.Contains("/length", StringComparison.Ordinal) ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "tunnel", origin.Authority);
        if (keep.Length > 0)
        {
            await client.WriteAsync(Encoding.ASCII.GetBytes($"GET /length HTTP/1.0\r\n{keep}\r\n"));
            Assert.Equal("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", await Wire.ReadUntilAsync(client, "ok").WaitAsync(Limit));
        }

        await client.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.0\r\n{keep}\r\n"));
        Assert.Equal("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", await Wire.ReadUntilAsync(client, null).WaitAsync(Limit));
        Assert.All(origin.Heads, head => Assert.Contains($"Host: {origin.Authority}", head, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Requests_sent_at_once_are_answered_in_their_order_whatever_lies_between_them()
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
                await peer.SayAsync($"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{head[5..7]}");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "tunnel", origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(10, 9).Select(i => $"\r\nGET /{i} HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n"))));
        for (var i = 10; i < 19; i++)
            Assert.Equal($"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{i}", await Wire.ReadUntilAsync(client, $"\r\n\r\n{i}").WaitAsync(Limit));
    }

    // What a GET would get.
    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nX-Y: z\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: foo/1, HTTP/3\r\nConnection: Upgrade\r\n\r\n")]
    public async Task An_answer_without_a_body_says_all_it_said(string method, string answer)
    {
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is not null)
                await peer.SayAsync(answer);
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "tunnel", origin.Authority);
        for (var i = 0; i < 2; i++)
        {
            await client.WriteAsync(Encoding.ASCII.GetBytes($"{method} / HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n"));
            Assert.Equal(answer, await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit));
        }
    }

    [Fact]
    public async Task Who_the_target_says_the_client_is_stays_here()
    {
        await using var origin = ScriptedOrigin.Start(ServeAsync);
        await using var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);

        await Wire.AskAsync(client, $"GET HTTP://user:secret@{origin.Authority}/z\u00c3\u00bcrich HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n");

        Assert.Equal($"GET /z\u00c3\u00bcrich HTTP/1.1\r\nHost: {origin.Authority}", origin.Heads.Single());
    }

    private static async Task ServeAsync(ScriptedOrigin.Peer peer)
    {
        while (await peer.ReadHeadAsync() is not null)
            await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }

    private static string Target(string way, ScriptedOrigin origin) => way == "plain" ? $"http://{origin.Authority}/" : "/";

    private static async Task EndOutputAsync(Stream client)
    {
        if (client is System.Net.Security.SslStream tls)
            await tls.ShutdownAsync();
        else
            ((NetworkStream)client).Socket.Shutdown(SocketShutdown.Send);
    }
}
