using System.Diagnostics;
using Discobot.Integration.Fixtures;
using Docker.DotNet.Models;

namespace Discobot.Integration.Init;

/// <summary>The image's HEALTHCHECK, as the engine runs it; oftener than the image says, so that nobody waits.</summary>
public sealed class HealthTests
{
    private static HealthcheckConfig Often => new() { Interval = TimeSpan.FromMilliseconds(500), Retries = 2, StartPeriod = TimeSpan.FromSeconds(1) };

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task It_is_healthy_with_the_proxy_up_unhealthy_while_it_is_gone_and_healthy_again(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Health = Often };
        await container.StartAsync();
        var log = await container.SeeAsync("startup completed");
        await SeeHealthAsync(container, "healthy");
        await container.ShellAsync($"cd /opt/discobot/bin; ln -sfn /bin/false proxy; kill -9 {ProxyIn(log)}");
        await SeeHealthAsync(container, "unhealthy");
        await container.ShellAsync("ln -sfn discobot /opt/discobot/bin/proxy");
        await SeeHealthAsync(container, "healthy");
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task It_asks_at_the_port_that_the_configuration_names(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Health = Often };
        container.Prepare("mkdir -p /.workspace/.discobot/proxy; printf 'proxy: { port: 18080, api_port: 18081 }\\n' > /.workspace/.discobot/proxy/config.yaml");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        await container.StartAsync();
        await container.SeeAsync("HTTP proxy ready on port 18080");
        await SeeHealthAsync(container, "healthy");
    }

    /// <summary>The agent works, and what it asks for goes out unseen: that is what the check is there to tell.</summary>
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task It_is_unhealthy_and_says_why_when_the_container_works_without_the_proxy(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Health = Often };
        container.Prepare("rm /opt/discobot/bin/proxy");
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        await SeeHealthAsync(container, "unhealthy");
        Assert.Contains("no answer from the proxy", await Engine.DockerAsync("inspect", "-f", "{{json .State.Health.Log}}", container.Id), StringComparison.Ordinal);
    }

    private static async Task SeeHealthAsync(SessionContainer container, string status)
    {
        var watch = Stopwatch.StartNew();
        while ((await Engine.DockerAsync("inspect", "-f", "{{.State.Health.Status}}", container.Id)).Trim() != status)
        {
            Assert.True(watch.Elapsed < SessionContainer.Patience, $"never {status}: {await Engine.DockerAsync("inspect", "-f", "{{json .State.Health}}", container.Id)}\n{await container.OutputAsync()}");
            await Task.Delay(100);
        }
    }

    private static string ProxyIn(string log) => log[(log.IndexOf("proxy started (pid=", StringComparison.Ordinal) + 19)..].Split(')')[0];
}
