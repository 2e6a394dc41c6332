using System.Net;
using System.Net.WebSockets;
using Discobot.Integration.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Integration.Wire;

/// <summary>What must pass as it comes: events, messages, and bodies larger than any memory.</summary>
public sealed class StreamingTests(WireFixture fixture) : IClassFixture<WireFixture>
{
    private const long Huge = 5L << 30;

    [Theory]
    [InlineData("http", "1.1")]
    [InlineData("https", "1.1")]
    [InlineData("https", "2.0")]
    public async Task Server_sent_events_arrive_one_by_one(string scheme, string version)
    {
        using var seen = new SemaphoreSlim(0);
        await using var origin = await fixture.OriginAsync(async context =>
        {
            context.Response.ContentType = "text/event-stream";
            for (var number = 0; number < 3; number++)
            {
                await context.Response.WriteAsync($"data: {number}\n\n");
                await context.Response.Body.FlushAsync();
                // The next event is sent only after the client has this one.
                Assert.True(await seen.WaitAsync(TimeSpan.FromSeconds(10)));
            }
        });
        using var client = fixture.Proxy.CreateClient(Version.Parse(version));
        using var events = new StreamReader(await client.GetStreamAsync(scheme == "http" ? origin.Http : origin.Https));
        for (var number = 0; number < 3; number++)
        {
            Assert.Equal($"data: {number}", await events.ReadLineAsync());
            Assert.Equal("", await events.ReadLineAsync());
            seen.Release();
        }

        Assert.Null(await events.ReadLineAsync());
    }

    [Theory]
    [InlineData("ws")]
    [InlineData("wss")]
    public async Task WebSocket_messages_go_both_ways(string scheme)
    {
        await using var origin = await fixture.OriginAsync(EchoAsync);
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("echo");
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            Proxy = new WebProxy(fixture.Proxy.Proxy),
            SslOptions = { CertificateChainPolicy = fixture.Proxy.Trust() },
        });
        var address = new UriBuilder(scheme == "ws" ? origin.Http : origin.Https) { Scheme = scheme }.Uri;
        await socket.ConnectAsync(address, invoker, CancellationToken.None);
        Assert.Equal("echo", socket.SubProtocol);

        foreach (var size in new[] { 5, 70_000 })
        {
            var message = new byte[size];
            Random.Shared.NextBytes(message);
            await socket.SendAsync(message, WebSocketMessageType.Binary, true, CancellationToken.None);
            Assert.Equal(message, await ReceiveAsync(socket));
        }

        await socket.CloseAsync(WebSocketCloseStatus.EndpointUnavailable, "done", CancellationToken.None);
        Assert.Equal(WebSocketCloseStatus.EndpointUnavailable, socket.CloseStatus);
        Assert.Equal("done", socket.CloseStatusDescription);
    }

    [Fact]
    public async Task Five_GiB_go_down_and_up_in_less_than_100_MiB()
    {
        long received = 0;
        await using var origin = await fixture.OriginAsync(async context =>
        {
            if (HttpMethods.IsGet(context.Request.Method))
                await SendZerosAsync(context.Response);
            else
                received = await CountAsync(context.Request.Body);
        });
        var file = Path.Combine(fixture.Proxy.Folder, "sparse");
        await using (var sparse = File.Create(file))
            sparse.SetLength(Huge);

        var downloaded = await fixture.Proxy.CurlAsync("--http1.1", "-o", "/dev/null", "-w", "%{size_download}", origin.Https.ToString());
        await fixture.Proxy.CurlAsync("--fail-with-body", "--http1.1", "-T", file, origin.Https.ToString());

        Assert.Equal(Huge.ToString(System.Globalization.CultureInfo.InvariantCulture), downloaded);
        Assert.Equal(Huge, received);
        Assert.InRange(fixture.Proxy.PeakResident(), 1, 100 << 20);
    }

    private static async Task SendZerosAsync(HttpResponse response)
    {
        response.ContentLength = Huge;
        var zeros = new byte[256 * 1024];
        for (long sent = 0; sent < Huge; sent += zeros.Length)
            await response.Body.WriteAsync(zeros);
    }

    private static async Task<long> CountAsync(Stream body)
    {
        var buffer = new byte[256 * 1024];
        long total = 0;
        while (await body.ReadAsync(buffer) is > 0 and var count)
            total += count;
        return total;
    }

    private static async Task EchoAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync("echo");
        var buffer = new byte[16 * 1024];
        while (true)
        {
            var part = await socket.ReceiveAsync(buffer, CancellationToken.None);
            if (part.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseAsync(part.CloseStatus!.Value, part.CloseStatusDescription, CancellationToken.None);
                return;
            }

            await socket.SendAsync(buffer.AsMemory(0, part.Count), part.MessageType, part.EndOfMessage, CancellationToken.None);
        }
    }

    private static async Task<byte[]> ReceiveAsync(WebSocket socket)
    {
        var whole = new MemoryStream();
        var buffer = new byte[16 * 1024];
        WebSocketReceiveResult part;
        do
        {
            part = await socket.ReceiveAsync(buffer, CancellationToken.None);
            whole.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return whole.ToArray();
    }
}
