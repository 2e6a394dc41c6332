using System.Net;
using System.Net.Security;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Interception;

/// <summary><c>socks.inspect</c>: what is TLS or HTTP inside a SOCKS tunnel is intercepted, so that SOCKS is no way round the rules.</summary>
public sealed class SocksInspectionTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync(
            """
            socks: {inspect: true}
            headers: {localhost: {set: {X-Injected: "yes"}, allow_plaintext: true}}
            allowlist: {enabled: true, allow_private: true, domains: [{host: localhost, methods: [GET], paths: ["/open/**"]}]}
            """);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
            context.Response.WriteAsync($"{context.Request.Path} {context.Request.Headers["X-Injected"]}"));
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("https", "1.1")]
    [InlineData("https", "2.0")]
    [InlineData("http", "1.1")]
    [InlineData("http", "2.0")]
    public async Task Tls_and_plain_http_meet_the_rules_headers_and_our_certificate(string scheme, string version)
    {
        using var client = new HttpClient(new SocketsHttpHandler
        {
            Proxy = new WebProxy($"socks5://127.0.0.1:{_proxy.Port}"),
            SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = _proxy.TrustOnlyOurCa() },
        })
        {
            DefaultRequestVersion = Version.Parse(version),
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var origin = scheme == "https" ? _origin.Https : _origin.Http;

        Assert.Equal("/open/a yes", await client.GetStringAsync(new Uri($"{origin}/open/a")));
        using var refused = await client.GetAsync(new Uri($"{origin}/closed"));
        using var json = JsonDocument.Parse(await refused.Content.ReadAsStringAsync());

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Contains("GET /closed", json.RootElement.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }
}
