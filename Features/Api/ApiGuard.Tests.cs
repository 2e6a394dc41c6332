using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Api;

public sealed class ApiGuardTests : IAsyncLifetime
{
    private static readonly string[] Paths = ["/health", "/metrics", "/api/config", "/api/cache/stats", "/api/allowlist/learned", "/api/explain?url=http://a.b/"];

    private RunningProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync();

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Theory]
    [InlineData("evil.example")]
    [InlineData("evil.example:17081")]
    [InlineData("localhost.evil.example")]
    [InlineData("127.0.0.1.evil.example")]
    [InlineData("2130706433.evil.example")]
    [InlineData("evil-localhost")]
    public async Task A_page_that_rebinds_its_name_to_this_machine_reads_and_changes_nothing(string host)
    {
        foreach (var path in Paths)
            await ExpectErrorAsync(421, await SendAsync("GET", path, host), "the Host header must name this machine");
        await ExpectErrorAsync(421, await SendAsync("DELETE", "/api/cache", host), "the Host header must name this machine");
        await ExpectErrorAsync(421, await SendAsync("POST", "/api/config", host), "the Host header must name this machine");
        await ExpectErrorAsync(421, await SendAsync("GET", "/nothing", host), "the Host header must name this machine");
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("LOCALHOST:1")]
    [InlineData("127.0.0.1")]
    [InlineData("[::1]:17081")]
    [InlineData("172.17.0.1:17081")]
    public async Task The_names_of_this_machine_are_answered(string host)
    {
        foreach (var name in (string[])[host, Environment.MachineName])
        {
            using var response = await SendAsync("GET", "/health", name);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Theory]
    [InlineData("GET /health HTTP/1.0\r\n\r\n", 421)]
    [InlineData("GET /health HTTP/1.1\r\nHost:\r\n\r\n", 421)]
    [InlineData("GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 421)]
    // Refused before there is a request that could be answered in JSON.
    [InlineData("GET /health HTTP/1.1\r\n\r\n", 400)]
    [InlineData("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400)]
    [InlineData("GET /health HTTP/1.1\r\nHost: localhost:1:2\r\n\r\n", 400)]
    public async Task No_spelling_of_Host_gets_by(string request, int status)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, _proxy.ApiPort);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal)));
        using var reader = new StreamReader(tcp.GetStream(), Encoding.ASCII);
        var answer = await reader.ReadToEndAsync();
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Equal(status == 421, answer.Contains("{\"error\":", StringComparison.Ordinal));
        Assert.DoesNotContain("ca_cert", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_not_there_is_404_and_what_may_not_be_done_405_with_what_may()
    {
        foreach (var path in (string[])["/nothing", "/api", "/api/cache/none", "/health/x"])
            await ExpectErrorAsync(404, await SendAsync("GET", path), $"nothing is at {path}");

        // The configuration asks for the token first.
        foreach (var path in Paths.Where(path => path != "/api/config"))
        {
            var response = await SendAsync("DELETE", path);
            Assert.Equal(["GET", "HEAD"], response.Content.Headers.Allow);
            await ExpectErrorAsync(405, response, "DELETE is not allowed here; allowed: GET, HEAD");
        }

        var cleared = await SendAsync("GET", "/api/cache");
        Assert.Equal(["DELETE"], cleared.Content.Headers.Allow);
        await ExpectErrorAsync(405, cleared, "GET is not allowed here; allowed: DELETE");
    }

    [Fact]
    public async Task HEAD_is_answered_wherever_GET_is_and_has_no_body()
    {
        foreach (var path in Paths)
        {
            using var response = await SendAsync("HEAD", path);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Empty(await response.Content.ReadAsByteArrayAsync());
        }
    }

    [Fact]
    public async Task What_nobody_foresaw_is_500_in_JSON_without_its_details()
    {
        var directory = Directory.CreateTempSubdirectory();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore()
            .AddApi(new ApiOptions { Protect = ApiProtection.None, TokenFile = Path.Combine(directory.FullName, "api.token") }).AddLogging();
        var port = RunningProxy.FreePort();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenForApi([new IPEndPoint(IPAddress.Loopback, port)]));
        await using var app = builder.Build();
        app.UseApi(endpoints => endpoints.MapGet("/broken", _ => throw new InvalidOperationException("s3cret detail")));
        await app.StartAsync();
        using var client = new HttpClient();
        await ExpectErrorAsync(500, await client.GetAsync($"http://127.0.0.1:{port}/broken"), "the request failed; the log says why");
        directory.Delete(recursive: true);
    }

    [Theory]
    [InlineData("GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n")]
    [InlineData("GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n")]
    public async Task Who_takes_it_for_the_proxy_is_told_where_that_is(string request)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, _proxy.ApiPort);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request + "Connection: close\r\n\r\n"));
        using var reader = new StreamReader(tcp.GetStream(), Encoding.ASCII);
        var answer = await reader.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 421 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"this is the API of the proxy and not the proxy, which listens on the port that proxy.port says", answer, StringComparison.Ordinal);
    }

    /// <summary>RFC 9112, 3.2.2: a server has to accept it.</summary>
    [Theory]
    [InlineData("http://localhost:PORT/health", 200)]
    [InlineData("http://127.0.0.1:PORT/health", 200)]
    [InlineData("http://evil.example:PORT/health", 421)]
    [InlineData("https://localhost:PORT/health", 421)]
    public async Task The_absolute_form_of_its_own_address_is_answered(string target, int status)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, _proxy.ApiPort);
        var address = target.Replace("PORT", $"{_proxy.ApiPort}", StringComparison.Ordinal);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"GET {address} HTTP/1.1\r\nHost: {new Uri(address).Authority}\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(tcp.GetStream(), Encoding.ASCII);
        Assert.StartsWith($"HTTP/1.1 {status} ", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    private async Task<HttpResponseMessage> SendAsync(string method, string path, string? host = null)
    {
        using var client = _proxy.Api();
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.Host = host;
        return await client.SendAsync(request);
    }

    private static async Task ExpectErrorAsync(int status, HttpResponseMessage response, string reason)
    {
        using (response)
        {
            Assert.Equal(status, (int)response.StatusCode);
            Assert.Equal(new MediaTypeHeaderValue("application/json", "utf-8"), response.Content.Headers.ContentType);
            var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
            Assert.Contains(reason, body.GetProperty("error").GetString(), StringComparison.Ordinal);
            Assert.DoesNotContain("s3cret", body.ToString(), StringComparison.Ordinal);
        }
    }
}
