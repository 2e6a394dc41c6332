using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>The image's own Docker daemon after a crash of its own or of the whole container.</summary>
public sealed class DockerCrashTests
{
    [Theory, MemberData(nameof(NestedTests.WithDocker), MemberType = typeof(NestedTests))]
    public async Task A_container_killed_with_Docker_up_starts_it_again_and_its_images_are_there(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Docker = true };
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        await container.ShellAsync("tar -cf - -C /etc hostname | docker import - kept");
        await container.SendAsync("KILL");
        Assert.Equal(137, await container.EndAsync());
        Assert.NotEmpty(await container.ReadAsync("/var/run/docker.pid"));

        await container.StartAsync();
        var log = await container.SeeAsync("startup completed");
        Assert.Contains("Docker daemon ready", log, StringComparison.Ordinal);
        Assert.Equal("kept\n", await container.ShellAsync("docker images --format '{{.Repository}}'"));
    }

    [Theory, MemberData(nameof(NestedTests.WithDocker), MemberType = typeof(NestedTests))]
    public async Task A_daemon_that_is_killed_is_told_of_and_started_again(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Docker = true };
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        var id = (await container.ReadAsync("/var/run/docker.pid")).Trim();
        await container.ExecAsync("kill", "-9", id);
        var log = await container.SeeAsync("Docker daemon ready", 2);
        Assert.Contains($"Docker daemon (pid={id}) ended unexpectedly with exit code 137", await container.OutputAsync(), StringComparison.Ordinal);
        Assert.Contains("Docker daemon started (pid=", log, StringComparison.Ordinal);
        await container.ExecAsync("docker", "info");
    }
}
