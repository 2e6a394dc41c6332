using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Discobot.Features.Configuration;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Interception;

/// <summary>
/// 10,000 changes of rules under load. 127.0.0.1 is allowed by all of them, 127.0.0.2 by every second one, 127.0.0.3 by none.
/// </summary>
public sealed class ReloadStormTests : IAsyncLifetime
{
    private const int Reloads = 10_000;

    // Where reloads are quick there are more of them, until each client has asked that often among them.
    private const int Requests = 50;

    private readonly CancellationToken _limit = new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;
    private readonly int[] _asked = new int[5];
    private volatile bool _over;
    private RunningProxy _proxy = null!;
    private TestOrigin _allowed = null!;
    private RawOrigin _toggled = null!;
    private RawOrigin _forbidden = null!;

    private LiveConfiguration Configuration => _proxy.Services.GetRequiredService<LiveConfiguration>();

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, ips: [127.0.0.1, 127.0.0.2]}", tls: ", passthrough: [127.0.0.2]");
        _allowed = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["127.0.0.1"]), AnswerAsync);
        _toggled = RawOrigin.Start(address: "127.0.0.2");
        _forbidden = RawOrigin.Start(address: "127.0.0.3");
    }

    public async Task DisposeAsync()
    {
        await _toggled.DisposeAsync();
        await _forbidden.DisposeAsync();
        await _allowed.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task No_allowed_request_is_lost_no_forbidden_one_passes_and_tunnels_follow_the_rules()
    {
        using var tunnel = await OpenTunnelAsync();
        using var socket = await OpenWebSocketAsync();
        using var events = await OpenEventsAsync();

        var http = $"http://127.0.0.1:{_allowed.HttpPort}/";
        Task[] served =
        [
            AskAsync(0, http, HttpVersion.Version11, HttpStatusCode.OK),
            AskAsync(1, $"https://127.0.0.1:{_allowed.HttpsPort}/", HttpVersion.Version11, HttpStatusCode.OK),
            AskAsync(2, $"https://127.0.0.1:{_allowed.HttpsPort}/", HttpVersion.Version20, HttpStatusCode.OK),
        ];
        Task[] refused =
        [
            AskAsync(3, $"http://127.0.0.3:{_forbidden.Port}/", HttpVersion.Version11, HttpStatusCode.Forbidden),
            AskAsync(4, $"https://127.0.0.3:{_forbidden.Port}/", HttpVersion.Version20, HttpStatusCode.Forbidden),
        ];

        await Task.Run(() => Reload([.. served, .. refused]));
        // What the first change forbade has ended, and what all of them allow goes on.
        Assert.Equal(0, await ReadAsync(tunnel.GetStream()));
        await socket.SendAsync("still there"u8.ToArray(), WebSocketMessageType.Text, true, _limit);
        Assert.Equal("still there", await ReceiveAsync(socket));
        Assert.Equal("data: next", await events.ReadLineAsync(_limit));
        _over = true;

        await Task.WhenAll([.. served, .. refused]);
        Assert.All(_asked, count => Assert.InRange(count, Requests, int.MaxValue));
        Assert.Empty(_forbidden.Heads);
    }

    private void Reload(Task[] clients)
    {
        for (var i = 0; i < Reloads || (Array.Exists(_asked, count => count < Requests) && !Array.Exists(clients, client => client.IsCompleted)); i++)
        {
            var json = i % 2 == 0
                ? """{"allowlist": {"ips": ["127.0.0.1"], "domains": [{"host": "x.test", "methods": ["GET"]}]}}"""u8
                : """{"allowlist": {"ips": ["127.0.0.2", "127.0.0.1"], "domains": ["*.example.com"]}}"""u8;
            Assert.True(Configuration.Apply(json, merge: true).IsValid);
        }
    }

    private async Task AskAsync(int who, string address, Version version, HttpStatusCode expected)
    {
        using var client = _proxy.Client(version);
        while (!_over)
        {
            using var response = await client.GetAsync(new Uri(address), _limit);
            var body = await response.Content.ReadAsStringAsync(_limit);
            Assert.True(response.StatusCode == expected, $"request {_asked[who]} to {address}: {response.StatusCode} {body}");
            Interlocked.Increment(ref _asked[who]);
        }
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        if (context.WebSockets.IsWebSocketRequest)
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            var buffer = new byte[100];
            var got = await socket.ReceiveAsync(buffer, context.RequestAborted);
            await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, true, context.RequestAborted);
            return;
        }

        if (context.Request.Path == "/events")
        {
            context.Response.ContentType = "text/event-stream";
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.WriteAsync("data: next\n");
                await context.Response.Body.FlushAsync();
                await Task.Delay(100);
            }

            return;
        }

        await context.Response.WriteAsync("fine");
    }

    private async Task<TcpClient> OpenTunnelAsync()
    {
        var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        var stream = tcp.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT 127.0.0.2:{_toggled.Port} HTTP/1.1\r\n\r\n"));
        var head = new byte["HTTP/1.1 200 Connection established\r\n\r\n".Length];
        await stream.ReadExactlyAsync(head, _limit);
        await stream.WriteAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
        Assert.NotEqual(0, await ReadAsync(stream));
        return tcp;
    }

    private async Task<ClientWebSocket> OpenWebSocketAsync()
    {
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{_proxy.Port}") }, disposeHandler: false);
        var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{_allowed.HttpPort}/socket"), invoker, _limit);
        return socket;
    }

    private async Task<StreamReader> OpenEventsAsync()
    {
        var client = _proxy.Client(HttpVersion.Version20);
        var events = new StreamReader(await client.GetStreamAsync(new Uri($"https://127.0.0.1:{_allowed.HttpsPort}/events"), _limit));
        Assert.Equal("data: next", await events.ReadLineAsync(_limit));
        return events;
    }

    private async Task<int> ReadAsync(NetworkStream stream) => await stream.ReadAsync(new byte[1000], _limit);

    private async Task<string> ReceiveAsync(ClientWebSocket socket)
    {
        var buffer = new byte[100];
        var got = await socket.ReceiveAsync(buffer, _limit);
        return Encoding.ASCII.GetString(buffer, 0, got.Count);
    }
}
