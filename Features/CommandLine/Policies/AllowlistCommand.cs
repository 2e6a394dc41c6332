using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Allowlist;

namespace Discobot.Features.CommandLine.Policies;

/// <summary><c>discobot allowlist export</c>: asks the running proxy what it learned and writes it as a policy.</summary>
internal static class AllowlistCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var output = new OutputFile();
        var wildcards = new Option<bool>("--wildcards")
        {
            Description = $"Write *.example.com for {LearnedPolicy.MinSiblings} or more names below example.com that need the same.",
        };
        var json = new Option<bool>("--json") { Description = "Print JSON: what was learned, not a policy." };

        var export = new Command("export", "Write the smallest allowlist that would have allowed what passed in learn mode.") { wildcards, json };
        output.AddTo(export);
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
            await output.WriteAsync(parsed, text, cancellation);
            return ExitCode.Fine;
        }));
        return new Command("allowlist", "What may leave: learn it, export it.") { export, Presets() };
    }

    private static Command Presets()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON: the entries as allowlist.domains takes them." };
        var presets = new Command("presets", "Show the sets of entries that allowlist.presets may name.") { json };
        presets.SetAction(parsed =>
        {
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                output.WriteLine(JsonText.Of(ShowPresets));
                return;
            }

            foreach (var preset in AllowlistPreset.All)
            {
                output.WriteLine($"{preset.Name,-12} {preset.Reason}");
                foreach (var rule in preset.Domains)
                    output.WriteLine($"{"",-12} {rule}");
            }
        });
        return presets;
    }

    private static void ShowPresets(Utf8JsonWriter json)
    {
        json.WriteStartArray();
        foreach (var preset in AllowlistPreset.All)
        {
            json.WriteStartObject();
            json.WriteString("name", preset.Name);
            json.WriteString("reason", preset.Reason);
            json.WriteStartArray("domains");
            foreach (var rule in preset.Domains)
                rule.Write(json);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static string? WhyNone(LearnedReport report) =>
        !report.Learning ? "nothing is exported: the proxy does not learn, and the policy would allow nothing. Set allowlist.mode to learn, let the work pass, and export then"
        : report.Hosts.Count == 0 ? "nothing is exported: nothing has passed the proxy in learn mode yet, and the policy would allow nothing"
        : null;
}
