using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Distros;

/// <summary>The same executable in each distribution's image, or in that of the stand-in where the distribution cannot be had.</summary>
[Collection("network")]
public sealed class DistroTests(NetworkFixture fixture)
{
    private const string Upstream = "/etc/upstream-ca.crt";

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task Upstreams_are_verified_against_the_distributions_own_roots(Distro distro)
    {
        await using var proxy = await ProxyContainer.StartAsync(fixture.Network, fixture.Authority, distro, distro.Trust(Upstream));
        var image = await fixture.Registry.PushAsync(50_000);
        var blob = $"https://registry.test/v2/{image.Repository}/blobs/{image.LayerDigest(0)}";
        // Between us and the client the point is not the certificate; others look at that.
        string[] through = ["-x", $"http://{distro.Name}:17080", "-k"];

        Assert.Contains("x-cache: miss", await fixture.First.CurlAsync(blob, "/tmp/blob", through), StringComparison.Ordinal);
        Assert.Contains("x-cache: hit", await fixture.First.CurlAsync(blob, "/tmp/blob", through), StringComparison.Ordinal);
        Assert.Equal(image.LayerDigest(0), await fixture.First.DigestAsync("/tmp/blob"));
    }

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task An_upstream_the_distribution_does_not_know_is_refused(Distro distro)
    {
        await using var proxy = await ProxyContainer.StartAsync(fixture.Network, fixture.Authority, distro, "true");
        var said = await fixture.First.RunAsync("curl", "-sS", "-x", $"http://{distro.Name}:17080", "-k", "-w", " %{http_code}", "https://registry.test/v2/");
        Assert.Contains("certificate", said, StringComparison.Ordinal);
        Assert.EndsWith(" 502", said, StringComparison.Ordinal);
    }

    /// <summary>What the product finds a distribution by, and what it changes there.</summary>
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task The_image_has_the_distributions_layout_and_a_stand_in_says_that_it_is_one(Distro distro)
    {
        var files = distro.Name switch
        {
            "alpine" => "/etc/alpine-release /lib/ld-musl-*.so.1 /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /bin/busybox",
            "fedora" => "/etc/pki/ca-trust/source/anchors /etc/pki/tls/certs/ca-bundle.crt",
            _ => "/etc/debian_version /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates",
        };
        var script = $". /etc/os-release; echo $ID $VARIANT; ls -d {files} >/dev/null";
        var said = await Engine.DockerAsync("run", "--rm", "--label", Engine.Label, "--entrypoint", "/bin/sh", distro.Image, "-c", script);
        Assert.StartsWith(distro.Name, said, StringComparison.Ordinal);
        Assert.Equal(distro.StandIn.Length > 0, said.Contains("stand-in", StringComparison.Ordinal));
        Assert.Equal(distro.StandIn.Length > 0, distro.ToString().Contains("stand-in", StringComparison.Ordinal));
    }
}
