using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Interception;

/// <summary><c>socks.users</c> for those who come by HTTP (RFC 7617, RFC 9110, 11.7).</summary>
public sealed class ProxyUsersTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private HttpContext? _seen;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("socks: {users: {alice: 'pa:55ß', bob: other}}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
        {
            _seen = context;
            return context.Response.WriteAsync(string.Join(' ', context.Request.Headers.Select(field => field.Key)));
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public async Task A_client_that_gives_its_name_and_password_when_asked_is_served_and_they_stay_here(string scheme)
    {
        using var handler = new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://127.0.0.1:{_proxy.Port}") { Credentials = new NetworkCredential("alice", "pa:55ß") },
            SslOptions = { CertificateChainPolicy = _proxy.TrustOnlyOurCa() },
        };
        using var client = new HttpClient(handler);

        var fields = await client.GetStringAsync(new Uri((scheme == "http" ? _origin.Http : _origin.Https) + "/"));

        Assert.DoesNotContain("Proxy-Authorization", fields, StringComparison.OrdinalIgnoreCase);
        var log = await File.ReadAllTextAsync(_proxy.LogFile);
        Assert.DoesNotContain("pa:55", log, StringComparison.Ordinal);
        Assert.DoesNotContain(Basic("alice:pa:55ß"), log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Proxy-Authorization: Basic \r\n")]
    [InlineData("Proxy-Authorization: Basic !!!\r\n")]
    [InlineData("Proxy-Authorization: Basic {alice:}\r\n")]
    [InlineData("Proxy-Authorization: Basic {alice}\r\n")]
    [InlineData("Proxy-Authorization: Basic {alice:other}\r\n")]
    [InlineData("Proxy-Authorization: Basic {Alice:pa:55ß}\r\n")]
    [InlineData("Proxy-Authorization: Basic {:}\r\n")]
    [InlineData("Proxy-Authorization: Bearer {bob:other}\r\n")]
    [InlineData("Authorization: Basic {bob:other}\r\n")]
    [InlineData("Proxy-Authorization: Basic {bob:other}\r\nProxy-Authorization: Basic {bob:other}\r\n")]
    public async Task Anything_else_is_asked_for_them_and_goes_nowhere(string field)
    {
        var open = field.IndexOf('{', StringComparison.Ordinal);
        if (open >= 0)
        {
            var clear = field[(open + 1)..field.IndexOf('}', StringComparison.Ordinal)];
            field = field.Replace($"{{{clear}}}", Basic(clear), StringComparison.Ordinal);
        }

        foreach (var line in (string[])[$"GET {_origin.Http}/ HTTP/1.1", $"CONNECT localhost:{_origin.HttpsPort} HTTP/1.1", "GET / HTTP/1.1"])
        {
            var answer = await AskAsync($"{line}\r\nHost: localhost\r\n{field}Connection: close\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 407 Proxy Authentication Required", answer, StringComparison.Ordinal);
            Assert.Contains("\r\nProxy-Authenticate: Basic realm=\"discobot\", charset=\"UTF-8\"\r\n", answer, StringComparison.Ordinal);
            Assert.Contains("\r\nX-Discobot-Error: proxy_authentication\r\n", answer, StringComparison.Ordinal);
        }

        Assert.Null(_seen);
    }

    [Theory]
    [InlineData("Basic")]
    [InlineData("bAsIc")]
    public async Task The_scheme_may_be_in_any_case(string scheme)
    {
        foreach (var line in (string[])[$"GET {_origin.Http}/ HTTP/1.1", $"CONNECT localhost:{_origin.HttpsPort} HTTP/1.1"])
        {
            var answer = await AskAsync($"{line}\r\nHost: localhost\r\nProxy-Authorization: {scheme} {Basic("bob:other")}\r\nConnection: close\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        }
    }

    private static string Basic(string clear) => Convert.ToBase64String(Encoding.UTF8.GetBytes(clear));

    private async Task<string> AskAsync(string request)
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        await tcp.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request));
        tcp.Client.ReceiveTimeout = 10_000;
        var text = new StringBuilder();
        var buffer = new byte[4096];
        while (!text.ToString().Contains("\r\n\r\n", StringComparison.Ordinal)
            && await tcp.GetStream().ReadAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(10)) is var count and > 0)
            text.Append(Encoding.Latin1.GetString(buffer, 0, count));
        return text.ToString();
    }
}
