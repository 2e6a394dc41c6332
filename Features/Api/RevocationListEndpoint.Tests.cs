using Discobot.Features.Certificates;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Api;

public sealed class RevocationListEndpointTests
{
    [Fact]
    public async Task A_client_that_insists_on_a_check_of_revocation_accepts_the_leaf()
    {
        await using var proxy = await RunningProxy.StartAsync("api: {protect: all, token_file: {DIR}/api.token}");
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("hello"));
        var authority = proxy.Services.GetRequiredService<CertificateAuthority>().CertificatePath;

        var shown = CertificateFixture.Run("sh", "-c",
            FormattableString.Invariant($"openssl s_client -proxy 127.0.0.1:{proxy.Port} -connect localhost:{origin.HttpsPort} -servername localhost ")
            + $"-CAfile {authority} -x509_strict -crl_check -crl_download -verify_return_error </dev/null");

        Assert.Contains("Verify return code: 0 (ok)", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_list_is_the_CAs_and_empty()
    {
        await using var proxy = await RunningProxy.StartAsync();
        using var api = proxy.Api();
        using var response = await api.GetAsync("/ca.crl");
        Assert.Equal("application/pkix-crl", response.Content.Headers.ContentType!.MediaType);
        var authority = proxy.Services.GetRequiredService<CertificateAuthority>().CertificatePath;
        var file = Path.Combine(Path.GetDirectoryName(authority)!, "list");
        await File.WriteAllBytesAsync(file, await response.Content.ReadAsByteArrayAsync());

        var shown = CertificateFixture.Run("openssl", "crl", "-inform", "DER", "-in", file, "-CAfile", authority, "-noout", "-text");

        Assert.Contains("verify OK", shown, StringComparison.Ordinal);
        Assert.Contains("No Revoked Certificates", shown, StringComparison.Ordinal);
        Assert.Contains("X509v3 Authority Key Identifier", shown, StringComparison.Ordinal);
    }
}
