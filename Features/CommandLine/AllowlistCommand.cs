using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Allowlist;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot allowlist export</c>: asks the running proxy what it learned and writes it as a policy.</summary>
internal static class AllowlistCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var output = new Option<string?>("--output", "-o") { Description = "Write to this file instead of the standard output." };
        var wildcards = new Option<bool>("--wildcards")
        {
            Description = $"Write *.example.com for {LearnedPolicy.MinSiblings} or more names below example.com that need the same.",
        };
        var json = new Option<bool>("--json") { Description = "Write what was learned as JSON, not as a policy." };

        var export = new Command("export", "Write the smallest allowlist that would have allowed what passed in learn mode.")
        {
            output, wildcards, json,
        };
        api.AddTo(export);
        export.SetAction((parsed, cancellation) => RunningApi.RunAsync(async () =>
        {
            var report = await api.AskAsync(
                parsed, HttpMethod.Get, "/api/allowlist/learned", LearnedJson.Default.LearnedReport, cancellation);
            var text = parsed.GetValue(json)
                ? JsonSerializer.Serialize(report, LearnedJson.Default.LearnedReport) + "\n"
                : LearnedPolicy.ToYaml(report, parsed.GetValue(wildcards));
            if (parsed.GetValue(output) is { } file)
                await File.WriteAllTextAsync(file, text, cancellation);
            else
                await Console.Out.WriteAsync(text);
            return ExitCode.Fine;
        }));
        return new Command("allowlist", "What may leave: learn it, export it.") { export };
    }
}
