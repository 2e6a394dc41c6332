using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Allowlist;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot allowlist export</c>: asks the running proxy what it learned and writes it as a policy.</summary>
internal static class AllowlistCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var output = new Option<string?>("--output", "-o") { Description = "Write to this new file instead of the standard output.", HelpName = "FILE" };
        var force = new Option<bool>("--force") { Description = "Replace the file of --output." };
        var wildcards = new Option<bool>("--wildcards")
        {
            Description = $"Write *.example.com for {LearnedPolicy.MinSiblings} or more names below example.com that need the same.",
        };
        var json = new Option<bool>("--json") { Description = "Write what was learned as JSON, not as a policy." };

        var export = new Command("export", "Write the smallest allowlist that would have allowed what passed in learn mode.")
        {
            output, force, wildcards, json,
        };
        api.AddTo(export);
        export.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var report = await api.AskAsync(
                parsed, HttpMethod.Get, "/api/allowlist/learned", LearnedJson.Default.LearnedReport, cancellation);
            if (WhyNone(report) is { } reason)
                throw new IOException(reason);
            var text = parsed.GetValue(json)
                ? JsonSerializer.Serialize(report, LearnedJson.Default.LearnedReport) + "\n"
                : LearnedPolicy.ToYaml(report, parsed.GetValue(wildcards));
            if (parsed.GetValue(output) is { } file)
                await WriteAsync(file, text, parsed.GetValue(force), cancellation);
            else
                await parsed.InvocationConfiguration.Output.WriteAsync(text);
            return ExitCode.Fine;
        }));
        return new Command("allowlist", "What may leave: learn it, export it.") { export };
    }

    private static string? WhyNone(LearnedReport report) =>
        !report.Learning ? "nothing is exported: the proxy does not learn, and the policy would allow nothing. Set allowlist.mode to learn, let the work pass, and export then"
        : report.Hosts.Count == 0 ? "nothing is exported: nothing has passed the proxy in learn mode yet, and the policy would allow nothing"
        : null;

    private static async Task WriteAsync(string file, string text, bool force, CancellationToken cancellation)
    {
        try
        {
            await using var stream = new FileStream(file, force ? FileMode.Create : FileMode.CreateNew, FileAccess.Write);
            await using var writer = new StreamWriter(stream);
            await writer.WriteAsync(text.AsMemory(), cancellation);
        }
        catch (IOException) when (!force && Path.Exists(file))
        {
            throw new IOException($"{file} exists and is left as it is; --force replaces it");
        }
    }
}
