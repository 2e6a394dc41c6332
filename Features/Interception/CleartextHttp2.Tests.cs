using System.Net.Sockets;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discobot.Features.Interception;

/// <summary>HTTP/2 without TLS is no way round the rules, however it begins.</summary>
public sealed class CleartextHttp2Tests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync(
        "allowlist: {enabled: true, allow_private: true, domains: [{host: localhost, methods: [GET], paths: [/open]}]}");

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Theory]
    [InlineData("/open", "200", 1000)]
    [InlineData("/closed", "403", 1000)]
    [InlineData("/closed", "403", 1)]
    [InlineData("/closed", "403", 23)]
    public async Task Inside_CONNECT_the_rules_hold_also_when_the_preface_trickles_in(string path, string status, int piece)
    {
        await using var origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("x"));
        var host = $"localhost:{origin.HttpPort}";
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port) { NoDelay = true };
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {host} HTTP/1.1\r\n\r\n"));
        await tcp.GetStream().ReadExactlyAsync(new byte["HTTP/1.1 200 Connection established\r\n\r\n".Length]);
        byte[] hello =
        [
            .. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. RawHttp2.Frame(RawHttp2.Settings, 0, 0, []),
            .. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1,
                RawHttp2.Fields((":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path))),
        ];
        foreach (var part in hello.Chunk(piece))
            await tcp.GetStream().WriteAsync(part);

        Assert.Equal(status, await RawHttp2.Over(tcp).OutcomeAsync(1));
    }

    /// <summary>A machine may stand still between the two: who says nothing for a while is no client of a protocol whose server speaks first, where no
    /// rule lets such through.</summary>
    [Fact]
    public async Task Inside_CONNECT_a_client_that_was_held_up_is_looked_into_as_any_other()
    {
        await using var origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("x"));
        var host = $"localhost:{origin.HttpPort}";
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port) { NoDelay = true };
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {host} HTTP/1.1\r\n\r\n"));
        await tcp.GetStream().ReadExactlyAsync(new byte["HTTP/1.1 200 Connection established\r\n\r\n".Length]);
        // Longer than the 0.7 s after which a server is listened to; what is tried is that time.
        Assert.False(tcp.Client.Poll(TimeSpan.FromSeconds(1.5), SelectMode.SelectRead));
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"GET /open HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(tcp.GetStream());
        Assert.StartsWith("HTTP/1.1 200 ", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    /// <summary>As gRPC without TLS: a server that speaks nothing else gets it as it is, one that does not gets HTTP/1.1.</summary>
    [Theory]
    [InlineData(HttpProtocols.Http2, "HTTP/2")]
    [InlineData(HttpProtocols.Http1, "HTTP/1.1")]
    public async Task A_server_gets_it_as_its_client_began_it(HttpProtocols spoken, string seen)
    {
        var protocols = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
        {
            protocols.Enqueue(context.Request.Protocol);
            return context.Response.WriteAsync("x");
        }, cleartext: spoken);
        var host = $"localhost:{origin.HttpPort}";
        for (var i = 0; i < 2; i++)
        {
            using var tcp = new TcpClient("127.0.0.1", _proxy.Port) { NoDelay = true };
            await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {host} HTTP/1.1\r\n\r\n"));
            await tcp.GetStream().ReadExactlyAsync(new byte["HTTP/1.1 200 Connection established\r\n\r\n".Length]);
            await tcp.GetStream().WriteAsync((byte[])
            [
                .. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. RawHttp2.Frame(RawHttp2.Settings, 0, 0, []),
                .. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1,
                    RawHttp2.Fields((":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/open"))),
            ]);
            Assert.Equal("200", await RawHttp2.Over(tcp).OutcomeAsync(1));
        }

        Assert.Equal([seen, seen], protocols);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("tunnel")]
    public async Task An_offer_to_upgrade_to_it_does_not_leave(string kind)
    {
        await using var origin = RawOrigin.Start();
        var host = $"localhost:{origin.Port}";
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        var stream = tcp.GetStream();
        if (kind == "tunnel")
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {host} HTTP/1.1\r\n\r\n"));
            await stream.ReadExactlyAsync(new byte["HTTP/1.1 200 Connection established\r\n\r\n".Length]);
        }

        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"GET {(kind == "plain" ? $"http://{host}" : "")}/open HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"));
        var answer = new byte["HTTP/1.1 200 OK".Length];
        await stream.ReadExactlyAsync(answer);

        Assert.Equal("HTTP/1.1 200 OK", Encoding.ASCII.GetString(answer));
        var head = Assert.Single(origin.Heads);
        Assert.DoesNotContain("Upgrade", head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("h2c", head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("HTTP2-Settings", head, StringComparison.OrdinalIgnoreCase);
    }
}
