using System.Diagnostics;
using System.Text.RegularExpressions;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;

namespace Discobot.Integration.Images;

/// <summary>An image of one's own, made and run as docs/image-builders.md says, from its first line to its last.</summary>
public sealed partial class OwnImageTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("own-image-").FullName;

    public void Dispose() => Directory.Delete(_directory, true);

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task The_page_makes_an_image_whose_container_works(Distro distro)
    {
        var page = await File.ReadAllTextAsync(Path.Combine(Binary.Checkout, "docs", "image-builders.md"));
        var name = $"discobot-own-{distro.Name}-{Guid.NewGuid():N}";
        File.Copy(Binary.Path, Path.Combine(_directory, "discobot"));
        await File.WriteAllTextAsync(Path.Combine(_directory, "my-agent"), "#!/bin/sh\necho $(id -un) in $(pwd -P) via $HTTPS_PROXY\nexec sleep 1000\n");
        File.SetUnixFileMode(Path.Combine(_directory, "my-agent"), (UnixFileMode)0b111_101_101);
        await File.WriteAllTextAsync(Path.Combine(_directory, "Dockerfile"), await DockerfileAsync(page, distro));
        var blocks = Blocks().Matches(page).Select(match => match.Groups["lines"].Value).ToArray();
        Assert.Equal(2, blocks.Length);

        await using var volume = await DataVolume.CreateAsync();
        try
        {
            await RunAsync(await NamedAsync(blocks[0], page, name, volume));
            Assert.Contains("discobot in /home/discobot/workspace via http://localhost:17080\n", await StartedAsync(name), StringComparison.Ordinal);
            // Whether a client reaches the internet is not the image's business; everything else is.
            var (_, said) = await Shell.RunAsync(await NamedAsync(blocks[1], page, name, volume));
            Assert.Matches("ok +port +proxy ", said);
            Assert.DoesNotMatch("FAIL +(step|port|trust) ", said);
        }
        finally
        {
            await Shell.RunAsync($"docker rm -fv {name}; docker image rm {name}");
        }
    }

    // The page's block; on another base than Debian its first two lines are those of the table. The base is the one that is at hand.
    private static async Task<string> DockerfileAsync(string page, Distro distro)
    {
        var lines = Dockerfile().Match(page).Groups["lines"].Value.Split('\n');
        Assert.StartsWith("FROM debian:", lines[0], StringComparison.Ordinal);
        var others = Others().Matches(page).Select(match => match.Groups["line"].Value).ToArray();
        if (Array.FindIndex(others, line => line.StartsWith($"FROM {distro.Name}:", StringComparison.Ordinal)) is >= 0 and var first)
            (lines[0], lines[1]) = (others[first], others[first + 1]);
        Assert.StartsWith($"FROM {distro.Name}:", lines[0], StringComparison.Ordinal);
        var (_, said) = await Shell.RunAsync($"{Binary.Checkout}/images/base.sh {distro.Name} 2>/dev/null");
        lines[0] = $"FROM {said.Trim()}";
        // Without a package manager, or without a server that it could ask, the base has what it has.
        var asks = Package().Match(lines[1]);
        Assert.True(asks.Success, lines[1]);
        if ((await Shell.RunAsync($"docker run --rm --label {Engine.Label} {said.Trim()} sh -c '{Reach(distro)}'")).Code != 0)
            lines[1] = $"RUN {lines[1][asks.Length..]}";
        return string.Join('\n', lines);
    }

    private static string Reach(Distro distro) => distro.Name switch
    {
        "alpine" => "timeout 20 apk update",
        "fedora" => "dnf --version",
        _ => "apt-get update",
    };

    private static async Task<string> NamedAsync(string block, string page, string name, DataVolume volume)
    {
        var granted = (await Shell.RunAsync($"docker run --rm --label {Engine.Label} --privileged --entrypoint /bin/true {Distro.Debian.Image}")).Code == 0;
        var instead = Regex.Replace(Unprivileged().Match(page).Groups["options"].Value, @"\s+", " ");
        Assert.NotEmpty(instead);
        return block.Replace("docker run ", $"docker run --label {Engine.Label} ", StringComparison.Ordinal)
            .Replace("docker build ", "DOCKER_BUILDKIT=0 docker build -q ", StringComparison.Ordinal)
            .Replace("my-agent", name, StringComparison.Ordinal)
            .Replace("demo:/.data", $"{volume.Name}:/.data", StringComparison.Ordinal)
            .Replace("--privileged", granted ? "--privileged" : instead, StringComparison.Ordinal);
    }

    private static async Task<string> StartedAsync(string name)
    {
        var watch = Stopwatch.StartNew();
        for (; ; await Task.Delay(100))
        {
            var (_, said) = await Shell.RunAsync($"docker logs {name} 2>&1");
            // The agent is the last that is started; its line may follow.
            if (said.Contains("startup completed", StringComparison.Ordinal) && said.Contains(" via ", StringComparison.Ordinal))
                return said;
            Assert.True(watch.Elapsed < SessionContainer.Patience, said);
        }
    }

    private async Task RunAsync(string script)
    {
        var (code, said) = await Shell.RunAsync(script, _directory);
        Assert.True(code == 0, $"{script}\n{said}");
    }

    [GeneratedRegex("```dockerfile\n(?<lines>[^`]*)```")]
    private static partial Regex Dockerfile();

    [GeneratedRegex(@"^\| [^|]*\| `(?<line>[^`]*)` \|", RegexOptions.Multiline)]
    private static partial Regex Others();

    [GeneratedRegex("```sh\n(?<lines>[^`]*)```")]
    private static partial Regex Blocks();

    // What a line does before it adds the user.
    [GeneratedRegex("^RUN .*(?=(useradd|adduser) )")]
    private static partial Regex Package();

    [GeneratedRegex("Where `--privileged` is not granted[^`]*`(?<options>[^`]*)`")]
    private static partial Regex Unprivileged();
}
