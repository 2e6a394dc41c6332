using System.Collections.Concurrent;
using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>WebSockets over HTTP/2 (RFC 8441), from a client through the proxy and with nothing between.</summary>
public sealed class Http2TunnelTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_WebSocket_over_HTTP_2_reaches_the_server_over_HTTP_2()
    {
        var seen = new ConcurrentQueue<string>();
        await using var origin = await TestOrigin.StartAsync(fixture.Certificate, async context =>
        {
            seen.Enqueue($"{context.Request.Protocol} {context.Request.Method} {context.Features.Get<IHttpExtendedConnectFeature>()?.Protocol} {context.Request.Path} {context.Request.Headers.SecWebSocketProtocol}");
            using var socket = await context.WebSockets.AcceptWebSocketAsync("chat");
            var piece = new byte[1 << 16];
            while (await socket.ReceiveAsync(piece, default) is { MessageType: not WebSocketMessageType.Close } got)
                await socket.SendAsync(piece.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, default);
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", default);
        });
        using var limit = new CancellationTokenSource(Limit);
        using var client = fixture.Running.Client(HttpVersion.Version20);
        using var socket = new ClientWebSocket();
        socket.Options.HttpVersion = HttpVersion.Version20;
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        socket.Options.AddSubProtocol("chat");
        await socket.ConnectAsync(new Uri($"wss://localhost:{origin.HttpsPort}/echo"), client, limit.Token);
        var said = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 100_000)));

        await socket.SendAsync(said, WebSocketMessageType.Binary, true, limit.Token);
        var (heard, piece) = (new MemoryStream(), new byte[10_000]);
        while (await socket.ReceiveAsync(piece, limit.Token) is var got)
        {
            heard.Write(piece, 0, got.Count);
            if (got.EndOfMessage)
                break;
        }

        Assert.Equal(said, heard.ToArray());
        Assert.Equal("chat", socket.SubProtocol);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", limit.Token);
        Assert.Equal("bye", socket.CloseStatusDescription);
        Assert.Equal("HTTP/2 CONNECT websocket /echo chat", Assert.Single(seen));
    }

    [Theory]
    [InlineData(false)]
    // It speaks HTTP/2, but takes no WebSockets over it.
    [InlineData(true)]
    public async Task It_goes_on_by_HTTP_1_1_where_the_server_takes_it_so_alone(bool speaksBoth)
    {
        static async Task ServeAsync(ScriptedOrigin.Peer peer)
        {
            var key = (await peer.ReadHeadAsync() ?? "").Split("Sec-WebSocket-Key: ", StringSplitOptions.None)[1].Split("\r\n")[0];
#pragma warning disable CA5350 // The protocol's choice; it keeps no secret.
            var accept = Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350
            await peer.SayAsync($"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
            await peer.SayAsync(await Wire.ReadUntilAsync(peer.Stream, "."));
        }

        await using var origin = speaksBoth ? ScriptedOrigin.StartBoth(fixture.Certificate, static (_, _) => Task.CompletedTask, ServeAsync) : ScriptedOrigin.Start(ServeAsync, fixture.Certificate);
        await using var client = await OpenAsync(false, origin);
        Assert.Equal("200", await client.OutcomeAsync(1));
        await client.SendAsync(RawHttp2.Data, 0, 1, "said."u8.ToArray());

        Assert.Equal("200 said.", await EndAsync(client));
        Assert.StartsWith("GET / HTTP/1.1", Assert.Single(origin.Heads), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Each_direction_ends_by_itself(bool isDirect)
    {
        var (body, ended) = (new StringBuilder(), new TaskCompletionSource<string>());
        await using var origin = Start(async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Headers)
            {
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200")));
                await http2.SendAsync(RawHttp2.Data, RawHttp2.EndStream, frame.Stream, "first"u8.ToArray());
            }

            if (frame.Type == RawHttp2.ResetStream)
                ended.TrySetResult($"reset {frame.Payload[3]}");
            if (frame.Type != RawHttp2.Data)
                return;
            body.Append(Encoding.ASCII.GetString(frame.Payload));
            if ((frame.Flags & RawHttp2.EndStream) != 0)
                ended.TrySetResult($"{body}");
        });
        await using var client = await OpenAsync(isDirect, origin);

        Assert.Equal("200 first", await EndAsync(client));
        await client.SendAsync(RawHttp2.Data, 0, 1, "sec"u8.ToArray());
        await client.SendAsync(RawHttp2.Data, RawHttp2.EndStream, 1, "ond"u8.ToArray());
        Assert.Equal("second", await ended.Task.WaitAsync(Limit));
    }

    [Theory]
    [InlineData(true, 8)]
    [InlineData(false, 8)]
    [InlineData(false, 11)]
    public async Task A_reset_of_the_server_is_one_for_the_client(bool isDirect, int code)
    {
        await using var origin = Start(async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Headers)
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200")));
            if (frame.Type == RawHttp2.Data)
                await http2.SendAsync(RawHttp2.ResetStream, 0, frame.Stream, [0, 0, 0, (byte)code]);
        });
        await using var client = await OpenAsync(isDirect, origin);
        Assert.Equal("200", await client.OutcomeAsync(1));
        await client.SendAsync(RawHttp2.Data, 0, 1, "x"u8.ToArray());

        Assert.Equal($"reset {code}", await EndAsync(client));
    }

    [Theory]
    [InlineData(true, 8, false)]
    [InlineData(false, 8, false)]
    [InlineData(false, 11, false)]
    [InlineData(true, 8, true)]
    [InlineData(false, 8, true)]
    [InlineData(false, 11, true)]
    public async Task A_reset_of_the_client_is_one_for_the_server(bool isDirect, int code, bool hasServerEnded)
    {
        var ended = new TaskCompletionSource<string>();
        await using var origin = Start(async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Headers)
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200")));
            if (frame.Type == RawHttp2.Headers && hasServerEnded)
                await http2.SendAsync(RawHttp2.Data, RawHttp2.EndStream, frame.Stream, []);
            if (frame.Type == RawHttp2.ResetStream)
                ended.TrySetResult($"reset {frame.Payload[3]}");
            if (frame.Type == RawHttp2.Data && (frame.Flags & RawHttp2.EndStream) != 0)
                ended.TrySetResult("end");
        });
        await using var client = await OpenAsync(isDirect, origin);
        Assert.Equal("200", await client.OutcomeAsync(1));
        if (hasServerEnded)
            Assert.Equal("200 ", await EndAsync(client));
        await client.SendAsync(RawHttp2.ResetStream, 0, 1, [0, 0, 0, (byte)code]);

        Assert.Equal($"reset {code}", await ended.Task.WaitAsync(Limit));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_the_server_answers_instead_arrives(bool isDirect)
    {
        await using var origin = Start(async (http2, frame) =>
        {
            if (frame.Type != RawHttp2.Headers)
                return;
            await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "404"), ("content-length", "4")));
            await http2.SendAsync(RawHttp2.Data, RawHttp2.EndStream, frame.Stream, "none"u8.ToArray());
        });
        await using var client = await OpenAsync(isDirect, origin);

        Assert.Equal("404", await client.OutcomeAsync(1));
        Assert.Equal("200 none", await EndAsync(client));
    }

    [Fact]
    public async Task A_server_of_HTTP_2_alone_that_takes_none_is_said_to()
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, static (_, _) => Task.CompletedTask);
        await using var client = await OpenAsync(false, origin);

        Assert.Contains("it speaks HTTP/2 alone, and takes no WebSocket over that", await EndAsync(client), StringComparison.Ordinal);
    }

    // RFC 8441, 3: SETTINGS_ENABLE_CONNECT_PROTOCOL.
    private ScriptedOrigin Start(Func<RawHttp2, (byte Type, int Flags, int Stream, byte[] Payload), Task> hear) =>
        ScriptedOrigin.StartHttp2(fixture.Certificate, hear, [0, 8, 0, 0, 0, 1]);

    private async Task<RawHttp2> OpenAsync(bool isDirect, ScriptedOrigin origin)
    {
        var client = isDirect ? await RawHttp2.OpenDirectlyAsync(fixture.Running.Upstreams, origin.Authority) : await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, 1, RawHttp2.Fields(
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", origin.Authority), (":path", "/"), ("sec-websocket-version", "13")));
        return client;
    }

    private static Task<string> EndAsync(RawHttp2 client) => client.EndAsync(1, Limit);
}
