using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Threading.Channels;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Interception;

/// <summary>Real clients through the whole proxy to a real server.</summary>
public sealed class InterceptionTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private readonly Channel<bool> _arrived = Channel.CreateUnbounded<bool>();

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync();
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost", "127.0.0.1"]), AnswerAsync);
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        switch (context.Request.Path)
        {
            case "/echo":
                // Whole before it is sent back: the test's client does not read while it writes.
                using (var body = new MemoryStream())
                {
                    await context.Request.Body.CopyToAsync(body);
                    await context.Response.Body.WriteAsync(body.ToArray());
                }

                break;
            case "/trailers":
                context.Response.DeclareTrailer("grpc-status");
                await context.Response.WriteAsync("body");
                context.Response.AppendTrailer("grpc-status", "7");
                break;
            case "/socket":
                using (var socket = await context.WebSockets.AcceptWebSocketAsync())
                {
                    var buffer = new byte[1024];
                    var got = await socket.ReceiveAsync(buffer, default);
                    await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, true, default);
                    await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
                }

                break;
            case "/events":
                context.Response.ContentType = "text/event-stream";
                for (var i = 0; i < 3; i++)
                {
                    await context.Response.WriteAsync($"data: {i}\n\n");
                    await context.Response.Body.FlushAsync();
                    await _arrived.Reader.ReadAsync(context.RequestAborted);
                }

                break;
            case "/refuse":
                context.Response.StatusCode = 417;
                break;
            case "/half":
                context.Response.ContentLength = 1000;
                await context.Response.WriteAsync("half");
                await context.Response.Body.FlushAsync();
                context.Abort();
                break;
            default:
                context.Response.Headers.Append("X-Twice", "a");
                context.Response.Headers.Append("X-Twice", "b");
                context.Response.Headers.ContentEncoding = "x-odd";
                var headers = context.Request.Headers.Select(h => $"{h.Key}: {string.Join("|", h.Value.AsEnumerable())}");
                await context.Response.WriteAsync($"{target}\n{string.Join('\n', headers)}");
                break;
        }
    }

    [Theory]
    [InlineData("1.1", true)]
    [InlineData("1.1", false)]
    [InlineData("2.0", true)]
    public async Task Requests_reach_upstream_as_sent_and_answers_come_back_as_given(string version, bool tls)
    {
        using var client = _proxy.Client(Version.Parse(version));
        var address = new Uri((tls ? _origin.Https : _origin.Http) + "/@scope%2Fname/a%20b/./c?q=%7e&x",
            new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        using var request = new HttpRequestMessage(HttpMethod.Get, address) { Version = client.DefaultRequestVersion };
        request.Headers.TryAddWithoutValidation("X-Many", ["1", "2"]);
        if (version == "1.1")
        {
            request.Headers.TryAddWithoutValidation("X-Hop", "secret");
            request.Headers.Connection.Add("X-Hop");
        }

        using var response = await client.SendAsync(request);
        var seen = await response.Content.ReadAsStringAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.StartsWith("/@scope%2Fname/a%20b/./c?q=%7e&x\n", seen.Replace(_origin.Http, ""), StringComparison.Ordinal);
        Assert.Contains("X-Many: 1", seen, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(["a", "b"], response.Headers.GetValues("X-Twice"));
        Assert.Equal(["x-odd"], response.Content.Headers.ContentEncoding);
        foreach (var added in (string[])["X-Hop", "Via", "Forwarded", "X-Forwarded", "traceparent", "Proxy-Connection"])
            Assert.DoesNotContain($"\n{added}", seen, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Trailers_survive_in_http2()
    {
        using var client = _proxy.Client(HttpVersion.Version20);
        using var response = await client.GetAsync(new Uri(_origin.Https + "/trailers"));

        Assert.Equal("body", await response.Content.ReadAsStringAsync());
        Assert.Equal("7", Assert.Single(response.TrailingHeaders.GetValues("grpc-status")));
    }

    [Theory]
    [InlineData("wss")]
    [InlineData("ws")]
    public async Task WebSockets_pass(string scheme)
    {
        using var socket = new ClientWebSocket();
        using var handler = new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://127.0.0.1:{_proxy.Port}"),
            SslOptions = { CertificateChainPolicy = _proxy.TrustOnlyOurCa() },
        };
        using var invoker = new HttpMessageInvoker(handler);
        var origin = scheme == "wss" ? _origin.Https : _origin.Http;
        await socket.ConnectAsync(new Uri(origin.Replace("http", "ws", StringComparison.Ordinal) + "/socket"), invoker, default);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, default);
        var buffer = new byte[100];
        var got = await socket.ReceiveAsync(buffer, default);

        Assert.Equal("hello", Encoding.UTF8.GetString(buffer, 0, got.Count));
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Events_arrive_one_by_one_as_they_are_sent(string version)
    {
        using var client = _proxy.Client(Version.Parse(version));
        using var response = await client.GetAsync(new Uri(_origin.Https + "/events"), HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal($"data: {i}", await reader.ReadLineAsync());
            Assert.Equal("", await reader.ReadLineAsync());
            // Only now does the server send the next one.
            _arrived.Writer.TryWrite(true);
        }
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Bodies_pass_both_ways_unchanged(string version)
    {
        using var client = _proxy.Client(Version.Parse(version));
        var sent = new byte[3_000_000];
        Random.Shared.NextBytes(sent);
        using var response = await client.PostAsync(new Uri(_origin.Https + "/echo"), new ByteArrayContent(sent));

        Assert.Equal(sent, await response.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_refused_expectation_is_answered_before_the_body_is_sent()
    {
        using var client = _proxy.Client();
        var content = new WatchedContent();
        using var request = new HttpRequestMessage(HttpMethod.Post, _origin.Https + "/refuse") { Content = content };
        request.Headers.ExpectContinue = true;
        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.ExpectationFailed, response.StatusCode);
        Assert.False(content.WasAsked);
    }

    [Fact]
    public async Task A_body_that_ends_too_early_never_looks_complete()
    {
        using var client = _proxy.Client();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => client.GetByteArrayAsync(new Uri(_origin.Https + "/half")));
    }

    [Fact]
    public async Task A_host_other_than_the_tunnels_is_misdirected()
    {
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, _origin.Https + "/");
        request.Headers.Host = "api.example.com";
        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.MisdirectedRequest, response.StatusCode);
        Assert.Equal("misdirected", Assert.Single(response.Headers.GetValues("X-Discobot-Error")));
    }

    [Fact]
    public async Task A_server_name_other_than_the_tunnels_is_misdirected()
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT localhost:{_origin.HttpsPort} HTTP/1.1\r\n\r\n"));
        await ReadHeadAsync(tcp.GetStream());
        await using var tls = new SslStream(tcp.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "api.example.com",
            CertificateChainPolicy = _proxy.TrustOnlyOurCa(),
        });
        await tls.WriteAsync("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"u8.ToArray());

        Assert.StartsWith("HTTP/1.1 421 ", await ReadHeadAsync(tls), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plain_http2_inside_a_tunnel_is_seen_too()
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancel) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync("127.0.0.1", _proxy.Port, cancel);
                var stream = new NetworkStream(socket, true);
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT localhost:{_origin.HttpPort} HTTP/1.1\r\n\r\n"), cancel);
                await ReadHeadAsync(stream);
                return stream;
            },
        };
        using var client = new HttpClient(handler) { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };

        var body = await client.GetStringAsync(new Uri(_origin.Http + "/plain-h2"));

        Assert.StartsWith("/plain-h2\n", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_ends_its_direction_after_asking_for_https_gets_its_answer()
    {
        // Not every server answers whoever has ended: Kestrel breaks off, with a proxy and without.
        using var certificate = _proxy.Upstreams.Issue(["localhost"]);
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            if (await peer.Stream.ReadAsync(new byte[1]) == 0)
                await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nheard!");
        }, certificate);
        using var client = new TcpClient("127.0.0.1", _proxy.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET https://{origin.Authority}/ HTTP/1.1\r\nHost: {origin.Authority}\r\nConnection: close\r\n\r\n"));
        client.Client.Shutdown(SocketShutdown.Send);
        var answer = await new StreamReader(stream).ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.EndsWith("heard!", answer, StringComparison.Ordinal);
    }

    private static async Task<string> ReadHeadAsync(Stream stream)
    {
        var text = new StringBuilder();
        var one = new byte[1];
        while (!text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one) == 1)
            text.Append((char)one[0]);
        return text.ToString();
    }
}
