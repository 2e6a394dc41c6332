using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Configuration;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Interception.Tls;

/// <summary><c>tls.passthrough</c>: clients that pin a certificate see the server's own; the allowlist still holds.</summary>
public sealed class PassthroughTests : IAsyncLifetime
{
    private RunningProxy? _proxy;
    private TestOrigin _origin = null!;
    private X509Certificate2 _certificate = null!;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_proxy is null)
            return;
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    private async Task<RunningProxy> StartAsync(string yaml)
    {
        _proxy = await RunningProxy.StartAsync(yaml, tls: ", passthrough: [localhost]");
        _certificate = _proxy.Upstreams.Issue(["localhost", "127.0.0.1"]);
        _origin = await TestOrigin.StartAsync(_certificate, context => context.Response.WriteAsync($"pinned over {context.Request.Protocol}"));
        return _proxy;
    }

    /// <summary>Accepts this very certificate and nothing else.</summary>
    private HttpClient PinnedClient(Version version) => new(new SocketsHttpHandler
    {
        Proxy = new WebProxy($"http://127.0.0.1:{_proxy!.Port}"),
        SslOptions = new SslClientAuthenticationOptions
        {
            RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.GetCertHashString() == _certificate.GetCertHashString(),
        },
    })
    {
        DefaultRequestVersion = version,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task A_pinned_host_is_reached_with_its_own_certificate(string version)
    {
        await StartAsync("allowlist: {enabled: true, domains: [localhost], allow_private: true}");
        using var client = PinnedClient(Version.Parse(version));

        Assert.Equal($"pinned over HTTP/{(version == "1.1" ? version : "2")}", await client.GetStringAsync(new Uri(_origin.Https)));
        // Another spelling of the host is not the one that is listed, and gets our certificate.
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri($"https://127.0.0.1:{_origin.HttpsPort}")));
    }

    [Theory]
    [InlineData("domains: [other.test], allow_private: true", "is not in allowlist.domains")]
    [InlineData("domains: [{host: localhost, methods: [GET]}], allow_private: true", "cannot be checked in a tunnel that is not intercepted")]
    public async Task The_allowlist_holds(string rules, string reason)
    {
        var proxy = await StartAsync($"allowlist: {{enabled: true, {rules}}}");
        using var client = PinnedClient(HttpVersion.Version11);

        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri(_origin.Https)));

        Assert.Equal(HttpRequestError.ProxyTunnelError, refused.HttpRequestError);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_address_that_is_forbidden_is_not_dialled_and_a_rule_that_forbids_ends_the_tunnel()
    {
        var proxy = await StartAsync("allowlist: {enabled: true, domains: [localhost], ips: [127.0.0.1]}");
        var configuration = proxy.Services.GetRequiredService<LiveConfiguration>();
        using var client = PinnedClient(HttpVersion.Version20);
        Assert.Equal("pinned over HTTP/2", await client.GetStringAsync(new Uri(_origin.Https)));

        Assert.True(configuration.Apply("""{"allowlist": {"ips": []}}"""u8, merge: true).IsValid);

        // The kept tunnel is gone, and a new one is not made.
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri(_origin.Https)));
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains("loopback address", StringComparison.Ordinal));
    }
}
