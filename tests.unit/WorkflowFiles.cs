using System.Diagnostics;
using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;
using YamlDotNet.RepresentationModel;

namespace Discobot.Rules;

/// <summary>The workflows of this repository and of examples/github-actions: a runner takes no other keys than these
/// (docs.github.com, "Workflow syntax for GitHub Actions"), and what they call is there.</summary>
public sealed partial class WorkflowFiles
{
    private static readonly string[] OfWorkflow = ["name", "on", "permissions", "concurrency", "env", "jobs"];
    private static readonly string[] OfJob = ["runs-on", "timeout-minutes", "needs", "if", "env", "strategy", "steps"];
    private static readonly string[] OfStep = ["name", "if", "uses", "with", "run", "env"];

    public static TheoryData<string> Files => [".github/workflows/ci.yml", ".github/workflows/release.yml", "examples/github-actions/agent.yml"];

    [Theory, MemberData(nameof(Files))]
    public async Task A_runner_takes_them_and_what_they_call_is_there(string file)
    {
        var top = Checkout.Top();
        var yaml = new YamlStream();
        using (var reader = new StreamReader(Path.Combine(top, file)))
            yaml.Load(reader);
        var workflow = (YamlMappingNode)yaml.Documents.Single().RootNode;
        Keys(workflow, OfWorkflow, "name", "on", "permissions", "jobs");
        var makefile = await File.ReadAllTextAsync(Path.Combine(top, "Makefile"));
        foreach (var (_, job) in ((YamlMappingNode)workflow["jobs"]).Children)
        {
            Keys(job, OfJob, "runs-on", "timeout-minutes", "steps");
            foreach (var step in (YamlSequenceNode)job["steps"])
            {
                Keys(step, OfStep);
                var isAction = ((YamlMappingNode)step).Children.TryGetValue("uses", out var uses);
                Assert.True(isAction != ((YamlMappingNode)step).Children.TryGetValue("run", out var run), $"{step}");
                if (isAction)
                {
                    Assert.Matches(@"^actions/[a-z-]+@v\d+$", $"{uses}");
                    continue;
                }

                var script = $"{run}";
                Assert.Equal("", await BashAsync(Expression().Replace(script, "x")));
                Assert.All(Target().Matches(script), call => Assert.Contains($"\n{call.Groups["name"].Value}: ", makefile, StringComparison.Ordinal));
                Assert.True(!script.Contains(".ci/run", StringComparison.Ordinal) || File.Exists(Path.Combine(top, ".ci/run")));
            }
        }
    }

    [Theory]
    [InlineData(null, "0.1.0")]
    [InlineData("3.14.1", "3.14.1")]
    public async Task A_releases_version_is_its_tags(string? tag, string expected)
    {
        var start = new ProcessStartInfo("dotnet", ["msbuild", Path.Combine(Checkout.Top(), "Discobot.csproj"), "-getProperty:Version"]) { RedirectStandardOutput = true };
        start.Environment["DISCOBOT_VERSION"] = tag;
        using var build = Process.Start(start)!;
        Assert.Equal(expected, (await build.StandardOutput.ReadToEndAsync()).Trim());
    }

    private static void Keys(YamlNode node, string[] known, params string[] needed)
    {
        var keys = ((YamlMappingNode)node).Children.Keys.Select(key => $"{key}").ToArray();
        Assert.Empty(keys.Except(known));
        Assert.Empty(needed.Except(keys));
    }

    private static async Task<string> BashAsync(string script)
    {
        using var bash = Process.Start(new ProcessStartInfo("bash", ["-n", "-c", script]) { RedirectStandardError = true })!;
        return await bash.StandardError.ReadToEndAsync();
    }

    [GeneratedRegex(@"\$\{\{.*?\}\}")]
    private static partial Regex Expression();

    [GeneratedRegex(@"\bmake (?<name>[a-z-]+)")]
    private static partial Regex Target();
}
