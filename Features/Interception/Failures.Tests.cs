using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Interception;

/// <summary>What a client sees when the other side fails: always HTTP it can read, also inside TLS.</summary>
public sealed class FailuresTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync();

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Theory]
    [InlineData("https")]
    [InlineData("http")]
    public async Task A_refused_connection_is_502(string scheme)
    {
        var error = await FailAsync($"{scheme}://localhost:{RunningProxy.FreePort()}/", HttpStatusCode.BadGateway);

        Assert.Equal("upstream_refused", error.Code);
        Assert.Contains("nothing listens", error.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_name_is_502()
    {
        Assert.Equal("upstream_unresolved", (await FailAsync("https://no-such-host.invalid/", HttpStatusCode.BadGateway)).Code);
    }

    [Theory]
    [InlineData("reset")]
    [InlineData("half a head")]
    public async Task An_upstream_that_breaks_off_is_502(string how)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serve = Task.Run(async () =>
        {
            // The client stack tries a broken connection a few times.
            while (true)
            {
                using var socket = await listener.AcceptSocketAsync();
                await socket.ReceiveAsync(new byte[1024]);
                if (how == "reset")
                    socket.LingerState = new LingerOption(true, 0);
                else
                    await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-"u8.ToArray());
            }
        });

        var error = await FailAsync($"http://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}/", HttpStatusCode.BadGateway);

        Assert.Contains(error.Code, (string[])["upstream_reset", "upstream_closed"]);
        Assert.False(serve.IsCompletedSuccessfully);
    }

    [Theory]
    [InlineData("expired", "not valid now")]
    [InlineData("name", "another name")]
    [InlineData("root", "issuer is not known")]
    public async Task A_bad_certificate_is_502_and_says_what_is_wrong(string what, string says)
    {
        using var foreign = new TestAuthority();
        using var certificate = what switch
        {
            "expired" => _proxy.Upstreams.Issue(["localhost"], DateTimeOffset.UtcNow.AddDays(-2)),
            "name" => _proxy.Upstreams.Issue(["other.test"]),
            _ => foreign.Issue(["localhost"]),
        };
        await using var origin = await TestOrigin.StartAsync(certificate, context => context.Response.WriteAsync("never"));

        var error = await FailAsync(origin.Https + "/", HttpStatusCode.BadGateway);

        Assert.Equal("upstream_certificate", error.Code);
        Assert.Contains(says, error.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plain_http_on_a_tls_port_is_502()
    {
        await using var origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("x"));

        Assert.Equal("upstream_tls", (await FailAsync($"https://localhost:{origin.HttpPort}/", HttpStatusCode.BadGateway)).Code);
    }

    [Fact]
    public async Task Silence_beyond_the_limit_is_504()
    {
        await using var impatient = await RunningProxy.StartAsync(proxySection: ", upstream_timeout: 300ms");
        await using var origin = await TestOrigin.StartAsync(impatient.Upstreams.Issue(["localhost"]), context => Task.Delay(30_000, context.RequestAborted));
        using var client = impatient.Client();
        using var response = await client.GetAsync(new Uri(origin.Https));

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
    }

    [Fact]
    public async Task A_loop_is_508()
    {
        Assert.Equal("loop", (await FailAsync($"http://localhost:{_proxy.Port}/", HttpStatusCode.LoopDetected)).Code);
        Assert.Equal("loop", (await FailAsync($"https://127.0.0.1:{_proxy.ApiPort}/health", HttpStatusCode.LoopDetected)).Code);
    }

    [Theory]
    [InlineData("LOCALHOST.")]
    [InlineData("127.0.0.1")]
    [InlineData("127.1")]
    [InlineData("127.9.8.7")]
    [InlineData("2130706433")]
    [InlineData("0x7f000001")]
    [InlineData("0177.0.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("0")]
    [InlineData("[::1]")]
    [InlineData("[::ffff:127.0.0.1]")]
    [InlineData("[::ffff:7f00:1]")]
    [InlineData("{host}")]
    public async Task A_loop_is_seen_in_every_spelling(string host)
    {
        host = host.Replace("{host}", Dns.GetHostName(), StringComparison.Ordinal);
        foreach (var port in new[] { _proxy.Port, _proxy.ApiPort })
        {
            // Written by hand: a client library would tidy the spelling up.
            using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
            await tcp.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(
                $"GET http://{host}:{port}/health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"));
            var answer = await new StreamReader(tcp.GetStream()).ReadToEndAsync();

            Assert.StartsWith("HTTP/1.1 508 ", answer, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Clients_that_do_not_take_json_get_text()
    {
        using var client = _proxy.Client();
        client.DefaultRequestHeaders.Accept.ParseAdd("text/plain");
        using var response = await client.GetAsync(new Uri("http://no-such-host.invalid/"));

        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
        Assert.StartsWith("Proxy error: no-such-host.invalid", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_proxy_port_opened_directly_explains_itself()
    {
        using var client = new HttpClient();
        using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{_proxy.Port}/health"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("HTTP_PROXY", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { 4, 1, 0, 80, 127, 0, 0, 1, 0 })]
    [InlineData(new byte[] { 0x16, 3, 1, 0, 10 })]
    [InlineData(new byte[] { 0, 0, 0 })]
    public async Task Other_protocols_are_closed_with_a_log_line(byte[] hello)
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        await tcp.GetStream().WriteAsync(hello);

        try
        {
            Assert.Equal(0, await tcp.GetStream().ReadAsync(new byte[1]));
        }
        catch (IOException)
        {
            // Closing with unread bytes resets.
        }

        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(_proxy.LogFile)).Contains("connection refused", StringComparison.Ordinal));
    }

    private async Task<(string Code, string Reason)> FailAsync(string address, HttpStatusCode expected)
    {
        using var client = _proxy.Client();
        using var response = await client.GetAsync(new Uri(address));
        using var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(expected, response.StatusCode);
        Assert.Equal(Assert.Single(response.Headers.GetValues("X-Discobot-Error")), body.RootElement.GetProperty("error").GetString());
        Assert.NotEmpty(body.RootElement.GetProperty("request_id").GetString()!);
        return (body.RootElement.GetProperty("error").GetString()!, body.RootElement.GetProperty("reason").GetString()!);
    }
}
