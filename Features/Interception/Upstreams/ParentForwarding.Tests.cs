using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>The whole proxy behind a real parent, towards a name that only the parent knows.</summary>
public sealed class ParentForwardingTests : IAsyncLifetime
{
    private const string Basic = "Proxy-Authorization: Basic YW5uOnA6YXM=";

    private readonly TestParent _parent = TestParent.Start();
    private RunningProxy? _proxy;
    private TestOrigin _origin = null!;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _parent.DisposeAsync();
        if (_proxy is null)
            return;
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    private async Task<RunningProxy> StartAsync(string upstream, string yaml = "", string tls = "")
    {
        _proxy = await RunningProxy.StartAsync(yaml, tls, $", upstream: \"{upstream}\"");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["origin.test"]), async context =>
        {
            if (!context.WebSockets.IsWebSocketRequest)
            {
                var path = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
                await context.Response.WriteAsync($"{path} {context.Request.Headers.ProxyAuthorization}");
                return;
            }

            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            var buffer = new byte[100];
            var got = await socket.ReceiveAsync(buffer, default);
            await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, true, default);
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
        });
        return _proxy;
    }

    [Fact]
    public async Task Https_is_tunnelled_and_still_verified_by_us()
    {
        var proxy = await StartAsync($"http://ann:p%3Aas@127.0.0.1:{_parent.Port}");
        using var client = proxy.Client();

        Assert.Equal("/a%2Fb ", await client.GetStringAsync(new Uri($"https://origin.test:{_origin.HttpsPort}/a%2Fb")));
        using var foreign = await client.GetAsync(new Uri($"https://other.test:{_origin.HttpsPort}/"));

        Assert.Equal("upstream_certificate", Assert.Single(foreign.Headers.GetValues("X-Discobot-Error")));
        Assert.Equal([$"CONNECT origin.test:{_origin.HttpsPort} HTTP/1.1 {Basic}", $"CONNECT other.test:{_origin.HttpsPort} HTTP/1.1 {Basic}"], _parent.Asked);
    }

    [Fact]
    public async Task Plain_http_goes_in_absolute_form_with_its_path_as_sent()
    {
        var proxy = await StartAsync($"http://ann:p%3Aas@127.0.0.1:{_parent.Port}");
        using var client = proxy.Client();
        var address = new Uri($"http://origin.test:{_origin.HttpPort}/@a%2Fb/./c?q=%7e", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });

        var seen = await client.GetStringAsync(address);

        Assert.Equal($"GET {address.OriginalString} HTTP/1.1 {Basic}", Assert.Single(_parent.Asked));
        // The small parent hands on what it got: the credentials were meant for it.
        Assert.Equal($"{address.OriginalString} Basic YW5uOnA6YXM=", seen);
    }

    [Theory]
    [InlineData("http", "ws")]
    [InlineData("http", "wss")]
    [InlineData("socks5", "ws")]
    public async Task WebSockets_are_tunnelled(string kind, string scheme)
    {
        var proxy = await StartAsync($"{kind}://127.0.0.1:{_parent.Port}");
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://127.0.0.1:{proxy.Port}"),
            SslOptions = { CertificateChainPolicy = proxy.TrustOnlyOurCa() },
        });
        using var socket = new ClientWebSocket();
        var port = scheme == "ws" ? _origin.HttpPort : _origin.HttpsPort;
        await socket.ConnectAsync(new Uri($"{scheme}://origin.test:{port}/socket"), invoker, default);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, default);
        var buffer = new byte[100];
        var got = await socket.ReceiveAsync(buffer, default);

        Assert.Equal("hello", Encoding.ASCII.GetString(buffer, 0, got.Count));
        Assert.Equal(kind == "http" ? $"CONNECT origin.test:{port} HTTP/1.1" : $"socks origin.test:{port}", Assert.Single(_parent.Asked));
    }

    [Fact]
    public async Task A_socks_parent_gets_the_name_and_the_credentials()
    {
        var proxy = await StartAsync($"socks5://ann:p%3Aas@127.0.0.1:{_parent.Port}");
        using var client = proxy.Client();

        Assert.Equal("/x ", await client.GetStringAsync(new Uri($"https://origin.test:{_origin.HttpsPort}/x")));
        Assert.Equal("/y ", await client.GetStringAsync(new Uri($"http://origin.test:{_origin.HttpPort}/y")));
        Assert.Equal([$"socks origin.test:{_origin.HttpsPort} ann:p:as", $"socks origin.test:{_origin.HttpPort} ann:p:as"], _parent.Asked);
    }

    [Theory]
    [InlineData("connect")]
    [InlineData("socks")]
    public async Task Tunnels_that_nobody_opens_go_through_it_and_lose_nothing(string how)
    {
        await using var parent = TestParent.Start(greeting: "220 ready\r\n");
        var proxy = await StartAsync($"http://127.0.0.1:{parent.Port}", tls: ", passthrough: [origin.test]");
        using var tcp = new TcpClient("127.0.0.1", proxy.Port);
        var stream = tcp.GetStream();
        var port = _origin.HttpsPort;
        var (request, answer) = how == "connect"
            ? (Encoding.ASCII.GetBytes($"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 Connection established\r\n\r\n".Length)
            : ((byte[])[5, 1, 0, 5, 1, 0, 3, 11, .. "origin.test"u8, (byte)(port >> 8), (byte)port], 12);
        await stream.WriteAsync(request);
        var got = new byte[answer + "220 ready\r\n".Length];
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        await stream.ReadExactlyAsync(got, limit.Token);

        Assert.Equal("220 ready\r\n", Encoding.ASCII.GetString(got, answer, got.Length - answer));
        Assert.Equal($"CONNECT origin.test:{port} HTTP/1.1", Assert.Single(parent.Asked));
    }

    [Theory]
    [InlineData("http", "HTTP/1.1 407 Who\r\n\r\n", "parent_auth")]
    [InlineData("http", "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "parent_refused")]
    [InlineData("http", "HTTP/1.0 502 Bad\r\n\r\n", "parent_failed")]
    [InlineData("http", "SSH-2.0-x\r\n\r\n", "parent_failed")]
    [InlineData("http", "", "parent_unreachable")]
    [InlineData("socks5", "not allowed", "parent_refused")]
    [InlineData("socks5", "wrong password", "parent_auth")]
    public async Task A_parent_that_refuses_is_a_502_that_names_it_and_no_password(string kind, string answer, string code)
    {
        await using var parent = TestParent.Start(answer);
        var proxy = await StartAsync($"{kind}://ann:s3cret@127.0.0.1:{parent.Port}");

        await FailAsync(proxy, $"https://origin.test:{_origin.HttpsPort}/", code, $"{kind}://127.0.0.1:{parent.Port}");
    }

    [Fact]
    public async Task Credentials_refused_in_absolute_form_are_a_502_as_well()
    {
        await using var parent = TestParent.Start("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
        var proxy = await StartAsync($"http://127.0.0.1:{parent.Port}");

        await FailAsync(proxy, "http://origin.test/", "parent_auth", $"http://127.0.0.1:{parent.Port}");
    }

    [Theory]
    [InlineData("https")]
    [InlineData("http")]
    public async Task A_parent_that_is_not_there_is_a_502(string scheme)
    {
        var port = RunningProxy.FreePort();
        var proxy = await StartAsync($"http://127.0.0.1:{port}");

        await FailAsync(proxy, $"{scheme}://origin.test/", "parent_unreachable", $"http://127.0.0.1:{port}");
    }

    [Theory]
    [InlineData("https://10.1.2.3/")]
    [InlineData("http://10.1.2.3/")]
    [InlineData("http://forbidden.test/")]
    [InlineData("https://forbidden.test/")]
    public async Task The_allowlist_judges_names_and_literals_before_the_parent_is_asked(string address)
    {
        var proxy = await StartAsync($"http://127.0.0.1:{_parent.Port}", "allowlist: {enabled: true, domains: [origin.test]}");
        using var client = proxy.Client();
        using var refused = await client.GetAsync(new Uri(address));

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Empty(_parent.Asked);
        // The name is allowed; where it leads, the parent knows and we do not.
        Assert.Equal("/ ", await client.GetStringAsync(new Uri($"https://origin.test:{_origin.HttpsPort}/")));
    }

    [Fact]
    public async Task This_machine_itself_is_reached_directly()
    {
        var proxy = await StartAsync($"http://127.0.0.1:{_parent.Port}");
        using var client = proxy.Client();

        Assert.Equal("/ ", await client.GetStringAsync(new Uri(_origin.Http)));
        Assert.Empty(_parent.Asked);
    }

    [Fact]
    public async Task What_leads_back_to_us_is_a_loop_behind_a_parent_too()
    {
        var proxy = await StartAsync($"http://127.0.0.1:{_parent.Port}");
        using var client = proxy.Client();
        foreach (var address in new[] { $"http://{Dns.GetHostName()}:{proxy.Port}/", $"https://{Dns.GetHostName()}:{proxy.ApiPort}/" })
        {
            using var refused = await client.GetAsync(new Uri(address));
            Assert.Equal(HttpStatusCode.LoopDetected, refused.StatusCode);
        }

        Assert.Empty(_parent.Asked);
    }

    private static async Task FailAsync(RunningProxy proxy, string address, string code, string named)
    {
        using var client = proxy.Client();
        using var response = await client.GetAsync(new Uri(address));
        var body = await response.Content.ReadAsStringAsync();
        using var json = JsonDocument.Parse(body);

        Assert.Equal((HttpStatusCode.BadGateway, code), (response.StatusCode, json.RootElement.GetProperty("error").GetString()));
        Assert.Contains($"The parent proxy {named} ", body, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", body + await File.ReadAllTextAsync(proxy.LogFile), StringComparison.Ordinal);
    }
}
