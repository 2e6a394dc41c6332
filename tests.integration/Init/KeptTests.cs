using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>What is on the volume outlives the start and the container.</summary>
[Collection("own sessions")]
public sealed class KeptTests(RunningSessions sessions)
{
    private const string Authority = "/.data/proxy/certs/ca.crt";

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Work_CA_and_cached_bodies_outlive_a_restart_and_the_container_and_the_registry(Distro distro)
    {
        await using var volume = await DataVolume.CreateAsync();
        var image = await sessions.Registry.PushAsync(100_000);
        var blob = $"https://registry.test/v2/{image.Repository}/blobs/{image.LayerDigest(0)}";
        string authority;
        await using (var first = await StartAsync(distro, volume))
        {
            Assert.Contains("X-Cache: MISS", await FetchAsync(first, blob, image.LayerDigest(0)), StringComparison.OrdinalIgnoreCase);
            await AsAgentAsync(first, "cd ~/workspace && echo mine > note");
            authority = await first.ReadAsync(Authority);
            AssertInOrder(await first.OutputAsync(), "INFO  request    method=GET host=registry.test path=/v2/", "INFO  cache miss path=", "INFO  response   method=GET host=registry.test status=200 ");

            await using var gone = await sessions.Registry.StopAsync();
            await first.SendAsync("TERM");
            Assert.Equal(143, await first.EndAsync());
            await first.StartAsync();
            await first.SeeAsync("startup completed");
            await AssertKeptAsync(first, blob, image.LayerDigest(0), authority);
        }

        await using (await sessions.Registry.StopAsync())
        {
            await using var second = await StartAsync(distro, volume);
            await AssertKeptAsync(second, blob, image.LayerDigest(0), authority);
            AssertInOrder(await second.OutputAsync(), "INFO  request    method=GET host=registry.test path=/v2/", "INFO  cache hit  path=", "INFO  response   method=GET host=registry.test status=200 ");
        }
    }

    private async Task<SessionContainer> StartAsync(Distro distro, DataVolume volume)
    {
        var container = sessions.New(distro, clients: false, docker: false, volume);
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        return container;
    }

    private static async Task AssertKeptAsync(SessionContainer container, string blob, string digest, string authority)
    {
        Assert.Contains("X-Cache: HIT", await FetchAsync(container, blob, digest), StringComparison.OrdinalIgnoreCase);
        Assert.Equal("mine\n", await AsAgentAsync(container, "cat ~/workspace/note"));
        Assert.Equal(authority, await container.ReadAsync(Authority));
    }

    // The head of the answer; the body is what its digest says.
    private static async Task<string> FetchAsync(SessionContainer container, string url, string digest)
    {
        var said = await AsAgentAsync(container, $"if command -v curl >/dev/null; then curl -sS -D - -o /tmp/body {url}; else wget -q -S -O /tmp/body {url}; fi; sha256sum /tmp/body; rm /tmp/body");
        Assert.Contains(digest["sha256:".Length..], said, StringComparison.Ordinal);
        return said;
    }

    private static Task<string> AsAgentAsync(SessionContainer container, string script)
        => container.ExecAsync("discobot", "exec", "--user", "discobot", "--", "env", "HOME=/home/discobot", "sh", "-l", "-c", script);

    private static void AssertInOrder(string log, params string[] lines)
    {
        var at = lines.Select(line => log.IndexOf(line, StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), $"{string.Join(" | ", at)}\n{log}");
    }
}
