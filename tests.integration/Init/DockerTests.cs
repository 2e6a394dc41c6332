using System.Globalization;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>Docker behind the session's proxy: the image's own, or one in a second container that shares the session's network.</summary>
[Collection("sessions")]
public sealed class DockerTests(RunningSessions sessions)
{
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task A_second_pull_asks_the_registry_for_no_blob(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        await using var docker = await SessionDocker.OfAsync(session);
        if (docker.IsOfTheImage)
            AssertOrder(await session.OutputAsync());
        var image = await sessions.Registry.PushAsync(300_000, 200_000);
        await docker.RunAsync("docker", "pull", image.ByTag);
        Assert.Equal(3, await BlobsAsync(image));
        await docker.RunAsync("docker", "image", "rm", "-f", image.ByTag);
        await docker.RunAsync("docker", "pull", image.ByDigest);
        Assert.Equal(3, await BlobsAsync(image));
        var layers = await docker.RunAsync("docker", "image", "inspect", "-f", "{{range .RootFS.Layers}}{{println .}}{{end}}", image.ByDigest);
        Assert.Equal(image.DiffIds, layers.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
    }

    /// <summary>Five layers at 512 KiB/s, three at a time: when the stop begins some are under way and others not even asked for.</summary>
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task A_pull_in_flight_completes_before_the_proxy_ends_and_Docker_after_it(Distro distro)
    {
        await using var session = sessions.New(distro, clients: false);
        session.Environment["DISCOBOT_STOP_BUDGET"] = "30";
        session.Agent("trap 'exit 0' TERM; echo agent ready; while :; do sleep 0.05; done");
        await session.StartAsync();
        await session.SeeAsync("agent ready");
        await using var docker = await SessionDocker.OfAsync(session);
        var image = await sessions.Registry.PushAsync(400_000, 400_000, 400_000, 400_000, 400_000);
        await using (await sessions.Registry.SwitchOnAsync(RegistrySwitch.Slow))
        {
            var pull = docker.RunAsync("docker", "pull", image.ByTag);
            await session.SeeAsync($"/v2/{image.Repository}/blobs/sha256:", 2);
            await session.SendAsync("TERM");
            Assert.Equal(0, await session.EndAsync());
            await pull;
        }

        var log = await session.OutputAsync();
        var stopped = new[] { ("agent-api", 10.0), ("proxy", 5.0), ("Docker daemon", 10.0) }
            .Where(s => s.Item1 != "Docker daemon" || docker.IsOfTheImage).ToList();
        var at = stopped.Select(s => log.IndexOf($"] {s.Item1} stopped, exit code 0", StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), log);
        foreach (var ((name, limit), end) in stopped.Zip(at))
        {
            var took = double.Parse(log[..end].Split('[')[^1].TrimEnd('s'), CultureInfo.InvariantCulture);
            Assert.True(took <= limit, $"{name}: {took} s");
        }

        foreach (var trouble in new[] { "cut off", "processes left", "killing it" })
            Assert.False(log.Contains(trouble, StringComparison.Ordinal), log);
    }

    // The first pull of all has to find the proxy, and the agent the daemon.
    private static void AssertOrder(string log)
    {
        string[] order = ["HTTP proxy ready on port 17080\n", "Docker daemon started (pid=", "Docker daemon ready\n", "Docker daemon completed\n", "agent-api started (pid="];
        var at = order.Select(line => log.IndexOf(line, StringComparison.Ordinal)).ToList();
        Assert.True(!at.Contains(-1) && at.SequenceEqual(at.Order()), log);
    }

    private async Task<int> BlobsAsync(TestImage image) => (await sessions.Registry.RequestsAsync())
        .Count(r => r.IsBlob && r.Status == 200 && image.BlobDigests.Any(d => r.Path.Contains(d["sha256:".Length..], StringComparison.Ordinal)));
}
