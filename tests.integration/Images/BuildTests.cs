using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Images;

/// <summary>What <c>make images</c> makes and says.</summary>
public sealed class BuildTests
{
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task The_image_starts_the_init_is_asked_for_its_health_and_has_the_user(Distro distro)
    {
        using var config = JsonDocument.Parse(await Engine.DockerAsync("image", "inspect", "-f", "{{json .Config}}", distro.Image));
        Assert.Equal(["/opt/discobot/bin/discobot", "init"], Words(config.RootElement.GetProperty("Entrypoint")));
        Assert.Equal(["CMD", "/opt/discobot/bin/discobot", "health"], Words(config.RootElement.GetProperty("Healthcheck").GetProperty("Test")));
        Assert.Equal("/workspace", config.RootElement.GetProperty("WorkingDir").GetString());
        const string Look = "id -u discobot; ls -d /home/discobot; readlink /opt/discobot/bin/proxy; sha256sum < /opt/discobot/bin/discobot";
        var said = await Engine.DockerAsync("run", "--rm", "--label", Engine.Label, "--entrypoint", "/bin/sh", distro.Image, "-c", Look);
        var executable = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Binary.Path)));
        Assert.Equal($"1000\n/home/discobot\ndiscobot\n{executable}  -\n", said);
    }

    /// <summary>Nothing is made anew: all of it is in the engine's cache.</summary>
    [Fact]
    public async Task Each_image_is_named_and_a_stand_in_is_called_one()
    {
        var said = await BuildAsync();
        foreach (var name in new[] { "debian", "alpine", "fedora", "scratch" })
        {
            var line = Assert.Single(said.Split('\n'), l => l.StartsWith($"==> discobot:{name} (", StringComparison.Ordinal));
            var standIn = Engine.LabelOf($"discobot:{name}", "discobot.stand-in");
            Assert.Equal(standIn.Length > 0 ? $", a STAND-IN: {standIn}" : "", line[(line.IndexOf(')', StringComparison.Ordinal) + 1)..]);
        }
    }

    /// <summary>From what a release has: for each machine its own executable, without a compiler.</summary>
    [Theory]
    [InlineData("amd64")]
    [InlineData("arm64")]
    public async Task An_image_for_another_machine_has_the_executable_of_that_machine(string machine)
    {
        var release = Directory.CreateTempSubdirectory("release-").FullName;
        var name = $"discobot-test-release-{Guid.NewGuid():N}";
        try
        {
            foreach (var one in new[] { "amd64", "arm64" })
                await File.WriteAllTextAsync(Path.Combine(release, $"discobot-linux-{one}"), one);
            await Engine.DockerAsync("build", "-q", "--label", Engine.Label, "--build-arg", $"TARGETARCH={machine}", "-t", name, "-f", Path.Combine(Binary.Checkout, "images/scratch/Dockerfile"), release);
            var container = (await Engine.DockerAsync("create", "--label", Engine.Label, name)).Trim();
            await Engine.DockerAsync("cp", $"{container}:/discobot", Path.Combine(release, "out"));
            await Engine.DockerAsync("rm", container);
            Assert.Equal(machine, await File.ReadAllTextAsync(Path.Combine(release, "out")));
        }
        finally
        {
            await Engine.DockerAsync("image", "rm", name);
            Directory.Delete(release, true);
        }
    }

    private static string[] Words(JsonElement list) => [.. list.EnumerateArray().Select(word => word.GetString()!)];

    private static async Task<string> BuildAsync()
    {
        using var build = Process.Start(new ProcessStartInfo(Path.Combine(Binary.Checkout, "images", "build.sh")) { RedirectStandardError = true })!;
        var said = await build.StandardError.ReadToEndAsync();
        await build.WaitForExitAsync();
        Assert.True(build.ExitCode == 0, said);
        return said;
    }
}
