using System.Diagnostics;
using System.Text.RegularExpressions;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;

namespace Discobot.Integration.Images;

/// <summary>An image of one's own, made of a distribution's base as docs/image-builders.md says and of nothing else.</summary>
public sealed partial class OwnImageTests
{
    [Theory]
    [InlineData("debian", "useradd")]
    [InlineData("alpine", "adduser")]
    [InlineData("fedora", "useradd")]
    public async Task The_lines_of_the_page_make_an_image_that_works(string distro, string tool)
    {
        var page = await File.ReadAllTextAsync(Path.Combine(Binary.Checkout, "docs", "image-builders.md"));
        var lines = Lines().Match(page).Groups["lines"].Value.Replace("FROM your-image", $"FROM {await BaseAsync(distro)}", StringComparison.Ordinal);
        Assert.Equal(4, lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        var user = Commands().Matches(page).Select(m => m.Groups["command"].Value).Single(c => c.StartsWith(tool, StringComparison.Ordinal));
        var image = $"discobot-test/own-{distro}";
        await BuildAsync(image, $"{lines}RUN {user}\n");
        try
        {
            await using var container = new SessionContainer(image);
            container.Agent("echo $(id -un) in $(pwd -P) via $HTTPS_PROXY; exit 3");
            Assert.Equal(3, await container.RunAsync());
            Assert.Contains("discobot in /home/discobot/workspace via http://localhost:17080\n", await container.OutputAsync(), StringComparison.Ordinal);
        }
        finally
        {
            await Engine.DockerAsync("image", "rm", image);
        }
    }

    private static async Task<string> BaseAsync(string distro)
    {
        using var script = Process.Start(new ProcessStartInfo(Path.Combine(Binary.Checkout, "images", "base.sh"), distro) { RedirectStandardOutput = true })!;
        var name = await script.StandardOutput.ReadToEndAsync();
        await script.WaitForExitAsync();
        Assert.Equal(0, script.ExitCode);
        return name.Trim();
    }

    private static async Task BuildAsync(string image, string lines)
    {
        var context = Directory.CreateTempSubdirectory("own-image-").FullName;
        try
        {
            File.Copy(Binary.Path, Path.Combine(context, "discobot"));
            await File.WriteAllTextAsync(Path.Combine(context, "Dockerfile"), lines);
            await Engine.DockerAsync("build", "-q", "-t", image, context);
        }
        finally
        {
            Directory.Delete(context, true);
        }
    }

    [GeneratedRegex("```dockerfile\n(?<lines>FROM your-image\n[^`]*)```")]
    private static partial Regex Lines();

    [GeneratedRegex("`(?<command>[^`\n]* discobot)`")]
    private static partial Regex Commands();
}
