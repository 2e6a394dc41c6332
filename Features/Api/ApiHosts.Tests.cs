using System.Net;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Certificates;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Api;

public sealed class ApiHostsTests
{
    [Theory]
    [InlineData("sandbox.test", 200)]
    [InlineData("Sandbox.TEST.:17081", 200)]
    [InlineData("xn--bcher-kva.test", 200)]
    [InlineData("sub.sandbox.test", 421)]
    [InlineData("xn--", 421)]
    public async Task The_names_that_the_operator_lists_are_answered_to(string host, int status)
    {
        await using var proxy = await RunningProxy.StartAsync("api: {hosts: [Sandbox.test, bücher.test], token_file: {DIR}/api.token}");
        using var api = proxy.Api();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health");
        request.Headers.Host = host;
        using var response = await api.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task The_authority_is_handed_out_to_everybody()
    {
        await using var proxy = await RunningProxy.StartAsync("api: {protect: all, token_file: {DIR}/api.token}");
        using var api = proxy.Api();
        using var response = await api.GetAsync("/ca.crt");
        var text = await response.Content.ReadAsStringAsync();

        Assert.Equal("application/x-x509-ca-cert", response.Content.Headers.ContentType?.MediaType);
        using var certificate = X509Certificate2.CreateFromPem(text);
        Assert.Equal(proxy.Services.GetRequiredService<CertificateAuthority>().Certificate.Thumbprint, certificate.Thumbprint);
        Assert.EndsWith("-----\n", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/metrics")]
    [InlineData("/api/config")]
    [InlineData("/api/cache/stats")]
    [InlineData("/api/allowlist/learned")]
    [InlineData("/api/explain?url=http://a.b/")]
    [InlineData("/nothing")]
    public async Task Every_answer_ends_with_one_newline(string path)
    {
        await using var proxy = await RunningProxy.StartAsync();
        using var api = proxy.Api();
        using var response = await api.GetAsync(path);
        var text = await response.Content.ReadAsStringAsync();

        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("\n\n", StringComparison.Ordinal));
        using var head = await api.SendAsync(new HttpRequestMessage(HttpMethod.Head, path));
        Assert.Equal(response.StatusCode == HttpStatusCode.NotFound ? HttpStatusCode.NotFound : HttpStatusCode.OK, head.StatusCode);
    }
}
