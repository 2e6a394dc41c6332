using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Caching;

/// <summary>A real file system without room, below a cache that was promised more.</summary>
[Collection("network")]
public sealed class FullDiskTests(NetworkFixture fixture)
{
    [Fact]
    public async Task A_full_disk_never_breaks_a_download()
    {
        await using var proxy = await ProxyContainer.StartAsync(fixture.Network, fixture.Authority, "full", cacheDisk: 2_000_000);
        var image = await fixture.Registry.PushAsync(5_000_000, 300_000);
        for (var layer = 0; layer < 2; layer++)
        {
            var blob = $"https://registry.test/v2/{image.Repository}/blobs/{image.LayerDigest(layer)}";
            for (var time = 0; time < 2; time++)
            {
                await fixture.First.CurlAsync(blob, "/tmp/blob", "-x", "http://full:17080", "-k");
                Assert.Equal(image.LayerDigest(layer), await fixture.First.DigestAsync("/tmp/blob"));
            }
        }

        var stats = await proxy.StatsAsync();
        // What fits is still cached.
        Assert.True(stats is { Stores: 1, Hits: 1 }, $"{stats}");
    }
}
