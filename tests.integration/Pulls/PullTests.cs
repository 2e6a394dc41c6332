using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Pulls;

/// <summary>What the product exists for: real clients, a real registry, and the registry's own log as witness.</summary>
[Collection("network")]
public sealed class PullTests(NetworkFixture fixture)
{
    [Fact]
    public async Task A_second_docker_pull_by_digest_needs_no_network()
    {
        var image = await fixture.Registry.PushAsync(3_000_000, 200_000, 10);
        await fixture.First.PullAsync(image, image.ByTag);
        var before = await fixture.Proxy.StatsAsync();

        await fixture.First.ForgetAsync(image.ByTag);
        await using (await fixture.Registry.StopAsync())
            await fixture.First.PullAsync(image, image.ByDigest);

        var after = await fixture.Proxy.StatsAsync();
        // The index, the manifest, the configuration and three layers.
        Assert.True(after.Hits >= before.Hits + 6, $"before {before}, after {after}");
        Assert.Equal(before.Stores, after.Stores);
    }

    [Fact]
    public async Task A_second_pull_asks_the_registry_for_no_blob()
    {
        var image = await fixture.Registry.PushAsync(500_000, 500_000);
        await fixture.First.PullAsync(image, image.ByTag);
        Assert.Equal(3, (await BlobRequestsAsync(image)).Count);

        await fixture.First.ForgetAsync(image.ByTag);
        await fixture.First.PullAsync(image, image.ByTag);
        await fixture.Second.PullAsync(image, image.ByDigest);

        Assert.Equal(3, (await BlobRequestsAsync(image)).Count);
    }

    [Fact]
    public async Task Blobs_behind_a_redirect_to_signed_URLs_are_fetched_once_and_stored_once()
    {
        var image = await fixture.Registry.PushAsync(800_000, 800_000);
        var before = await fixture.Proxy.StatsAsync();
        await using (await fixture.Registry.SwitchOnAsync(RegistrySwitch.Redirect))
        {
            await fixture.First.PullAsync(image, image.ByTag);
            await fixture.Second.PullAsync(image, image.ByTag);
        }

        var fromCdn = (await BlobRequestsAsync(image)).Where(request => request.Host == "cdn.test").ToArray();
        Assert.Equal(3, fromCdn.Length);
        Assert.All(fromCdn, request => Assert.False(request.Authorized));
        var after = await fixture.Proxy.StatsAsync();
        Assert.Equal(before.Stores + 5, after.Stores);
        Assert.InRange(after.CurrentSize - before.CurrentSize, 1_600_000, 1_700_000);
    }

    [Fact]
    public async Task A_registry_that_wants_a_token_is_pulled_from_the_cache_when_it_is_gone()
    {
        var image = await fixture.Registry.PushAsync(400_000);
        await using (await fixture.Registry.SwitchOnAsync(RegistrySwitch.Auth))
        await using (await fixture.Registry.SwitchOnAsync(RegistrySwitch.Redirect))
            await fixture.First.PullAsync(image, image.ByTag);
        Assert.All((await BlobRequestsAsync(image)).Where(request => request.Host == "cdn.test"), request => Assert.False(request.Authorized));

        await fixture.First.ForgetAsync(image.ByTag);
        await using (await fixture.Registry.StopAsync())
            await fixture.First.PullAsync(image, image.ByDigest);
    }

    [Fact]
    public async Task Skopeo_copies_the_same_bytes_again_without_the_registry()
    {
        var image = await fixture.Registry.PushAsync(1_000_000, 300_000);
        await fixture.First.RunAsync("skopeo", "copy", "--all", $"docker://{image.ByDigest}", "dir:/tmp/skopeo-first");
        await using (await fixture.Registry.StopAsync())
            await fixture.First.RunAsync("skopeo", "copy", "--all", $"docker://{image.ByDigest}", "dir:/tmp/skopeo-second");

        foreach (var digest in image.BlobDigests)
            Assert.Equal(digest, await fixture.First.DigestAsync($"/tmp/skopeo-second/{digest["sha256:".Length..]}"));
        await fixture.First.RunAsync("rm", "-r", "/tmp/skopeo-first", "/tmp/skopeo-second");
    }

    [Fact]
    public async Task Containerd_pulls_again_without_the_registry()
    {
        var image = await fixture.Registry.PushAsync(700_000, 20_000);
        string[] ctr = ["ctr", "-a", "/run/docker/containerd/containerd.sock", "-n", "test"];
        await fixture.Second.RunAsync([.. ctr, "images", "pull", image.ByTag]);
        await fixture.Second.RunAsync([.. ctr, "images", "rm", "--sync", image.ByTag]);
        await using (await fixture.Registry.StopAsync())
            await fixture.Second.RunAsync([.. ctr, "images", "pull", image.ByDigest]);

        var content = await fixture.Second.RunAsync([.. ctr, "content", "ls", "-q"]);
        Assert.All(image.BlobDigests, digest => Assert.Contains(digest, content, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Two_engines_at_once_cause_one_download()
    {
        var image = await fixture.Registry.PushAsync(1_500_000, 1_500_000);
        await using (await fixture.Registry.SwitchOnAsync(RegistrySwitch.Slow))
            await Task.WhenAll(fixture.First.PullAsync(image, image.ByTag), fixture.Second.PullAsync(image, image.ByTag));

        Assert.All((await BlobRequestsAsync(image)).CountBy(request => request.Path), path => Assert.Equal(1, path.Value));
    }

    [Fact]
    public async Task A_client_that_gave_up_resumes_where_it_stopped()
    {
        var image = await fixture.Registry.PushAsync(2_000_000);
        var blob = $"https://registry.test/v2/{image.Repository}/blobs/{image.LayerDigest(0)}";
        await using (await fixture.Registry.SwitchOnAsync(RegistrySwitch.Slow))
        {
            // 28 is curl's "time is over": something arrived, not all of it.
            await fixture.First.RunAsync("bash", "-c", $"curl -sS -m 1.5 -o /tmp/part {blob}; [ $? = 28 ] && [ -s /tmp/part ]");
            var head = await fixture.First.CurlAsync(blob, "/tmp/part", "-C", "-");
            Assert.Contains("206", head.Split('\n').Last(line => line.StartsWith("http/", StringComparison.Ordinal)), StringComparison.Ordinal);
        }

        Assert.Equal(image.LayerDigest(0), await fixture.First.DigestAsync("/tmp/part"));

        var again = await fixture.First.CurlAsync(blob, "/tmp/whole");
        Assert.Contains("x-cache: hit", again, StringComparison.Ordinal);
        Assert.Equal(image.LayerDigest(0), await fixture.First.DigestAsync("/tmp/whole"));
    }

    [Fact]
    public async Task A_docker_pull_survives_a_restart_of_the_proxy()
    {
        var image = await fixture.Registry.PushAsync(6_000_000);
        await using (await fixture.Registry.SwitchOnAsync(RegistrySwitch.Slow))
        {
            var pull = fixture.First.PullAsync(image, image.ByTag);
            // By time: the engine does not tell how far it is; that it is not done is looked at.
            await Task.Delay(TimeSpan.FromSeconds(3));
            Assert.False(pull.IsCompleted);
            await fixture.Proxy.RestartAsync();
            await pull;
        }
    }

    [Fact]
    public async Task A_hit_says_so_and_a_miss_too()
    {
        var image = await fixture.Registry.PushAsync(100_000);
        var blob = $"https://registry.test/v2/{image.Repository}/blobs/{image.LayerDigest(0)}";
        Assert.Contains("x-cache: miss", await fixture.First.CurlAsync(blob, "/tmp/blob"), StringComparison.Ordinal);
        var hit = await fixture.First.CurlAsync(blob, "/tmp/blob");
        Assert.Contains("x-cache: hit", hit, StringComparison.Ordinal);
        Assert.Contains("x-cache-date: ", hit, StringComparison.Ordinal);
        Assert.Contains($"content-length: {image.LayerBytes(0).Length}", hit, StringComparison.Ordinal);
        Assert.Contains($"docker-content-digest: {image.LayerDigest(0)}", hit, StringComparison.Ordinal);
        Assert.Equal(image.LayerDigest(0), await fixture.First.DigestAsync("/tmp/blob"));
    }

    private async Task<IReadOnlyList<RegistryRequest>> BlobRequestsAsync(TestImage image) =>
        [.. from request in await fixture.Registry.RequestsAsync()
            where request.IsBlob && request.Status == 200
            where image.BlobDigests.Any(digest => request.Path.Contains(digest["sha256:".Length..], StringComparison.Ordinal))
            select request];
}
