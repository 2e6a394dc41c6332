using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Distros;

/// <summary>The same executable in each distribution's image. Where Fedora cannot be pulled, a stand-in with Fedora's layout takes its place.</summary>
[Collection("network")]
public sealed class DistroTests(NetworkFixture fixture)
{
    private const string Upstream = "/etc/upstream-ca.crt";

    [Theory]
    [InlineData("debian", $"cp {Upstream} /usr/local/share/ca-certificates/ && update-ca-certificates")]
    // Alpine's minimal root has the bundle, and not the tool that makes it.
    [InlineData("alpine", $"cat {Upstream} >> /etc/ssl/certs/ca-certificates.crt")]
    [InlineData("fedora", $"cp {Upstream} /etc/pki/ca-trust/source/anchors/ && update-ca-trust extract")]
    public async Task Upstreams_are_verified_against_the_distributions_own_roots(string distro, string trust)
    {
        await using var proxy = await ProxyContainer.StartAsync(fixture.Network, fixture.Authority, distro, trust);
        var image = await fixture.Registry.PushAsync(50_000);
        var blob = $"https://registry.test/v2/{image.Repository}/blobs/{image.LayerDigest(0)}";
        // Between us and the client the point is not the certificate; others look at that.
        string[] through = ["-x", $"http://{distro}:17080", "-k"];

        Assert.Contains("x-cache: miss", await fixture.First.CurlAsync(blob, "/tmp/blob", through), StringComparison.Ordinal);
        Assert.Contains("x-cache: hit", await fixture.First.CurlAsync(blob, "/tmp/blob", through), StringComparison.Ordinal);
        Assert.Equal(image.LayerDigest(0), await fixture.First.DigestAsync("/tmp/blob"));
    }

    [Theory]
    [InlineData("debian")]
    [InlineData("alpine")]
    [InlineData("fedora")]
    public async Task An_upstream_the_distribution_does_not_know_is_refused(string distro)
    {
        await using var proxy = await ProxyContainer.StartAsync(fixture.Network, fixture.Authority, distro, "true");
        var said = await fixture.First.RunAsync("curl", "-sS", "-x", $"http://{distro}:17080", "-k", "-w", " %{http_code}", "https://registry.test/v2/");
        Assert.Contains("certificate", said, StringComparison.Ordinal);
        Assert.EndsWith(" 502", said, StringComparison.Ordinal);
    }
}
