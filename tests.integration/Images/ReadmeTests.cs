using System.Diagnostics;
using System.Text.RegularExpressions;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;

namespace Discobot.Integration.Images;

/// <summary>The policy and the <c>docker run</c> line of the README, as they stand there, with somebody typing at the terminal.</summary>
public sealed partial class ReadmeTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("readme-").FullName;

    public void Dispose() => Directory.Delete(_directory, true);

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task The_line_runs_the_agent_at_the_terminal_within_the_policy_and_what_it_changed_is_there_the_next_time(Distro distro)
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "file"), "content of mine\n");
        var policy = Policy().Match(await ReadmeAsync()).Groups["lines"].Value;
        Assert.Equal(7, policy.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("- example.com\n", policy, StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(_directory, "policy.yaml"), policy);
        await using var volume = await DataVolume.CreateAsync();
        var line = await LineAsync(distro, volume);

        // The terminal shows what is typed as well: what is looked for is not in it.
        var (code, said) = await TypeAsync(line, $"cat file; {Asks("example.com")} {Asks("example.org")} echo sum $((40 + 2)) of $(id -un) via $HTTPS_PROXY; echo changed > file; exit 5");
        Assert.True(code == 5, $"{line}: {code}\n{said}");
        Assert.Contains("HTTP proxy ready on port 17080", said, StringComparison.Ordinal);
        Assert.Contains("content of mine", said, StringComparison.Ordinal);
        Assert.Contains("sum 42 of discobot via http://localhost:17080", said, StringComparison.Ordinal);
        Assert.Contains("example.com is let through\n", said, StringComparison.Ordinal);
        Assert.Contains("example.org is refused\n", said, StringComparison.Ordinal);

        // The proxy logged it, and not into what somebody types.
        Assert.Contains("the proxy's log goes to /.data/proxy/proxy.log", said, StringComparison.Ordinal);
        Assert.DoesNotContain("host=example.org", said, StringComparison.Ordinal);
        var log = await Engine.DockerAsync("run", "--rm", "--label", Engine.Label, "-v", $"{volume.Name}:/.data", "--entrypoint", "/bin/cat", distro.Image, "/.data/proxy/proxy.log");
        Assert.Contains("host=example.org", log, StringComparison.Ordinal);

        (code, said) = await TypeAsync(line, "cat /workspace/file; exit 6");
        Assert.True(code == 6 && said.Contains("changed\n", StringComparison.Ordinal), $"{line}: {code}\n{said}");
        Assert.Equal("content of mine\n", await File.ReadAllTextAsync(Path.Combine(_directory, "file")));
    }

    // As it stands but for the names: the image, a volume of the test's own, a shell that the image has.
    private static async Task<string> LineAsync(Distro distro, DataVolume volume)
    {
        var readme = await ReadmeAsync();
        var line = Line().Match(readme).Value.Replace("\\\n", "", StringComparison.Ordinal);
        Assert.Contains(" --privileged ", line, StringComparison.Ordinal);
        if (!await RunsAsync(distro, "--privileged", "/bin/true"))
            line = line.Replace("--privileged", string.Join(' ', Unprivileged().Match(readme).Groups["option"].Captures.Select(c => c.Value.ReplaceLineEndings(" "))), StringComparison.Ordinal);
        if (!await RunsAsync(distro, "--init", "/bin/bash"))
            line = line.Replace("/bin/bash", "/bin/sh", StringComparison.Ordinal);
        return line.Replace("demo:/.data", $"{volume.Name}:/.data", StringComparison.Ordinal)
            .Replace("discobot:debian", distro.Image, StringComparison.Ordinal)
            .Replace("docker run ", $"docker run --label {Engine.Label} ", StringComparison.Ordinal);
    }

    private static Task<string> ReadmeAsync() => File.ReadAllTextAsync(Path.Combine(Binary.Checkout, "README.md"));

    // Whether the proxy refuses, by the client that the image has.
    private static string Asks(string host) =>
        $"echo {host} is $({{ curl -sim 20 http://{host}/ || timeout 20 wget -SO- http://{host}/; }} 2>&1 | grep -q 'HTTP.*403' && echo refused || echo let through);";

    private static async Task<bool> RunsAsync(Distro distro, string option, string program)
    {
        string[] run = ["run", "--rm", "--label", Engine.Label, option, "--entrypoint", program, distro.Image, "-c", "true"];
        using var docker = Process.Start(new ProcessStartInfo("docker", run) { RedirectStandardError = true })!;
        await docker.StandardError.ReadToEndAsync();
        await docker.WaitForExitAsync();
        return docker.ExitCode == 0;
    }

    // script(1) brings the terminal that `docker run -t` asks for.
    private async Task<(int Code, string Output)> TypeAsync(string command, string typed)
    {
        using var script = Process.Start(new ProcessStartInfo("script", ["-qec", command, "/dev/null"])
        {
            WorkingDirectory = _directory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        await script.StandardInput.WriteLineAsync(typed);
        await script.StandardInput.FlushAsync();
        var said = await script.StandardOutput.ReadToEndAsync().WaitAsync(SessionContainer.Patience);
        await script.WaitForExitAsync();
        return (script.ExitCode, said.Replace("\r\n", "\n", StringComparison.Ordinal));
    }

    [GeneratedRegex("```yaml\n(?<lines>egress:[^`]*)```")]
    private static partial Regex Policy();

    [GeneratedRegex(@"^docker run -it(?:[^\n]*\\\n)*[^\n]*", RegexOptions.Multiline)]
    private static partial Regex Line();

    [GeneratedRegex(@"Where `--privileged` is not granted:\n(?:[^`]*`(?<option>[^`]*)`)+?[^`]*for Docker inside")]
    private static partial Regex Unprivileged();
}
