using System.Text;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Pulls;

/// <summary>docker push and BuildKit's cache after a pull through the proxy; what the registry has afterwards is what it has without a proxy.</summary>
[Collection("network")]
public sealed class PushTests(NetworkFixture fixture)
{
    [Fact]
    public async Task What_was_pulled_is_pushed_back_and_elsewhere_and_the_registry_has_what_it_has_without_a_proxy()
    {
        var image = await fixture.Registry.PushAsync(900_000, 30_000, 10);
        await using var direct = await DockerEngine.StartAsync(fixture.Network, Encoding.ASCII.GetBytes(fixture.Authority.RootPem), proxy: "");

        // Twice, so that what is pushed afterwards is stored in the proxy, and was answered from there.
        await fixture.First.PullAsync(image, image.ByTag);
        await fixture.First.ForgetAsync(image.ByTag);
        var before = await fixture.Proxy.StatsAsync();
        await PushAsync(fixture.First, image, "proxied");
        Assert.True((await fixture.Proxy.StatsAsync()).Hits > before.Hits);
        await PushAsync(direct, image, "direct");

        Assert.Equal(await fixture.Registry.ContentsAsync($"{image.Repository}-direct"), await fixture.Registry.ContentsAsync($"{image.Repository}-proxied"));
        var own = await fixture.Registry.ContentsAsync(image.Repository);
        Assert.Equal(TagIn(own, "direct"), TagIn(own, "proxied"));
        Assert.All(image.BlobDigests, digest => Assert.Contains($"_layers/sha256/{digest["sha256:".Length..]}/link {digest}", own));

        // By whoever knows no proxy, and by whoever has never had any of it.
        foreach (var (engine, name) in new[] { (direct, $"{image.Repository}-proxied:v1"), (fixture.Second, $"{image.Repository}-proxied:v1"), (fixture.Second, $"{image.Repository}:proxied") })
        {
            await engine.TryAsync("docker", "system", "prune", "--all", "--force");
            await engine.PullAsync(image, $"registry.test/{name}");
        }
    }

    [Fact]
    public async Task A_cache_that_BuildKit_exports_is_one_that_it_builds_from()
    {
        var name = $"registry.test/team/cache-{Guid.NewGuid():N}";
        const string Context = "mkdir -p /tmp/context && cd /tmp/context && echo of-the-test > file && printf 'FROM scratch\\nCOPY file /first\\nCOPY file /second\\n' > Dockerfile";
        foreach (var engine in new[] { fixture.First, fixture.Second })
            await engine.RunAsync("bash", "-c", Context);

        var built = await BuildAsync(fixture.First, $"{name}:v1", "--build-arg", "BUILDKIT_INLINE_CACHE=1");
        Assert.DoesNotContain("CACHED", built, StringComparison.Ordinal);
        await fixture.First.RunAsync("docker", "push", $"{name}:v1");
        var again = await BuildAsync(fixture.Second, $"{name}:v2", "--cache-from", $"{name}:v1");
        Assert.Equal(2, again.Split(" CACHED").Length - 1);
        await fixture.Second.RunAsync("docker", "push", $"{name}:v2");

        var contents = await fixture.Registry.ContentsAsync(name["registry.test/".Length..]);
        Assert.NotEmpty(TagIn(contents, "v2"));
    }

    // Pulls it, and pushes it to its own repository and to another one.
    private static async Task PushAsync(DockerEngine engine, TestImage image, string name)
    {
        await engine.PullAsync(image, image.ByTag);
        foreach (var reference in new[] { $"registry.test/{image.Repository}:{name}", $"registry.test/{image.Repository}-{name}:v1" })
        {
            await engine.RunAsync("docker", "tag", image.ByTag, reference);
            await engine.RunAsync("docker", "push", reference);
        }
    }

    private static Task<string> BuildAsync(DockerEngine engine, string tag, params string[] options) =>
        engine.RunAsync("bash", "-c", $"DOCKER_BUILDKIT=1 docker build --progress=plain --tag {tag} {string.Join(' ', options)} /tmp/context 2>&1");

    private static string TagIn(IReadOnlyList<string> contents, string tag) =>
        contents.Single(line => line.StartsWith($"_manifests/tags/{tag}/current/link ", StringComparison.Ordinal)).Split(' ')[1];
}
