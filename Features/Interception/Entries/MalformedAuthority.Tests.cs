using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Interception.Entries;

/// <summary>Hosts that are none, in every place where a client can write one; and what is answered when something fails that nobody foresaw.</summary>
public sealed class MalformedAuthorityTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;

    public static TheoryData<string> Hosts() =>
        ["xn--", "XN--.test", "a.xn--99999999.test", "xn--a-.test", "a..b", ".a", "256.1.1.1", "[::1", "[::g]", "a%2fb", "a_b,c", new string('a', 64) + ".test"];

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync("socks: {inspect: true}");

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Theory]
    [MemberData(nameof(Hosts))]
    public async Task A_host_that_is_none_is_the_clients_mistake_wherever_it_stands(string host)
    {
        await using var origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("x"));

        Assert.Equal(400, await AskAsync($"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        Assert.Equal(400, await AskAsync($"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n"));
        Assert.Equal(400, await AskAsync($"CONNECT localhost:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n"));
        Assert.Contains(await AskAsync($"GET http://localhost:{origin.HttpPort}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"), (int[])[200, 400]);
        await using (var tunnel = await RawTunnel.ConnectAsync(_proxy, "localhost", origin.HttpsPort, SslApplicationProtocol.Http11))
            Assert.Contains(await tunnel.AskAsync($"GET / HTTP/1.1\nHost: {host}"), (int[])[400, 421]);
        await using (var tunnel = await RawTunnel.ConnectAsync(_proxy, "localhost", origin.HttpsPort, SslApplicationProtocol.Http11))
            Assert.Contains(await tunnel.AskAsync($"GET https://{host}/ HTTP/1.1\nHost: localhost:{origin.HttpsPort}"), (int[])[400, 421]);
        await using (var tunnel = await RawTunnel.ConnectAsync(_proxy, "localhost", origin.HttpsPort, SslApplicationProtocol.Http2))
            Assert.Contains(await tunnel.AskHttp2Async((":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", host)), (int[])[0, 400, 421]);
        Assert.Equal(1, await SocksAsync(host));
        Assert.Equal(200, await AskAsync($"GET {origin.Http}/ HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }

    [Fact]
    public async Task A_name_in_punycode_arrives_as_it_was_sent()
    {
        // A parent proxy, so that nobody has to know the name.
        await using var origin = RawOrigin.Start();
        await DisposeAsync();
        _proxy = await RunningProxy.StartAsync(proxySection: $", upstream: 'http://127.0.0.1:{origin.Port}'");
        const string host = "xn--bcher-kva.example";

        Assert.Equal(200, await AskAsync($"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        Assert.Contains($"\r\nHost: {host}", Assert.Single(origin.Heads), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task User_information_and_queries_are_not_repeated()
    {
        await AskAsync("CONNECT user:secret1@localhost:443 HTTP/1.1\r\n\r\n");
        await AskAsync("GET http://user:secret2@localhost/?sig=secret3 HTTP/1.1\r\nHost: x:secret4@localhost\r\n\r\n");
        await using (var tunnel = await RawTunnel.ConnectAsync(_proxy, "localhost", 9, SslApplicationProtocol.Http11))
            Assert.Equal(421, await tunnel.AskAsync("GET https://u:secret5@other.test/x?sig=secret6 HTTP/1.1\nHost: localhost:9"));

        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(_proxy.LogFile)).Split("refused").Length >= 3);
        Assert.DoesNotContain("secret", await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, 500, "internal_error")]
    [InlineData(true, 413, "bad_request")]
    public async Task Whatever_is_thrown_becomes_an_answer_and_a_line(bool isClients, int status, string code)
    {
        var context = new DefaultHttpContext { RequestServices = _proxy.Services, Response = { Body = new MemoryStream() } };
        context.Request.Method = "GET";
        context.Request.Protocol = "HTTP/1.1";
        context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget = "http://localhost/x?sig=secret";
        RequestDelegate next = _ => throw (isClients ? new BadHttpRequestException("Request body too large.", 413) : new InvalidOperationException("unforeseen"));

        await ActivatorUtilities.CreateInstance<RequestGate>(_proxy.Services, next).InvokeAsync(context);

        Assert.Equal(status, context.Response.StatusCode);
        Assert.Equal(code, context.Response.Headers["X-Discobot-Error"]);
        context.Response.Body.Position = 0;
        using var body = await JsonDocument.ParseAsync(context.Response.Body);
        var id = body.RootElement.GetProperty("request_id").GetString()!;
        Assert.Equal("localhost", body.RootElement.GetProperty("host").GetString());
        await Eventually.TrueAsync(async () => (await File.ReadAllLinesAsync(_proxy.LogFile)).Count(line => line.EndsWith($" id={id}", StringComparison.Ordinal) || line.Contains($" id={id} ", StringComparison.Ordinal)) == 2);
        Assert.DoesNotContain("secret", await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
    }

    private async Task<int> AskAsync(string request)
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        await tcp.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request));
        var line = await new StreamReader(tcp.GetStream()).ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(20));
        return int.Parse(line!.Split(' ')[1], null);
    }

    /// <returns>The reply's code (RFC 1928, 6).</returns>
    private async Task<byte> SocksAsync(string host)
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        await tcp.GetStream().WriteAsync((byte[])[5, 1, 0, 5, 1, 0, 3, (byte)host.Length, .. Encoding.Latin1.GetBytes(host), 1, 187]);
        var answer = new byte[4];
        await tcp.GetStream().ReadExactlyAsync(answer).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        return answer[3];
    }
}
