using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Discobot.Features.Allowlist;

namespace Discobot.Features.CommandLine.Policies;

/// <summary><c>discobot grants</c>: the answers that count (<c>allowlist.mode: ask</c>), and their end.</summary>
internal static class GrantsCommand
{
    public static Command Create()
    {
        var (api, json) = (new RunningApi(), new Option<bool>("--json") { Description = "Print JSON." });
        var command = new Command("grants", "Show the answers that count where allowlist.mode is ask.") { json, Revoke() };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var grants = await api.AskAsync(parsed, HttpMethod.Get, "/api/grants", ApprovalJson.Default.IReadOnlyListGrantReport, cancellation);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                output.WriteLine(JsonSerializer.Serialize(grants, ApprovalJson.Readable.IReadOnlyListGrantReport));
            else if (grants.Count == 0)
                output.WriteLine("no answer counts");
            else
                output.WriteLine(string.Join('\n', grants.Select(Line)));
            return ExitCode.Fine;
        }));
        return command;
    }

    /// <summary>One answer on one line.</summary>
    public static string Line(GrantReport grant) => string.Create(CultureInfo.InvariantCulture,
        $"{grant.Id,-5} {(grant.Decision == "allow" ? "allowed" : "denied")} {grant.Host}{(grant.Port is { } port ? $":{port}" : "")}  "
        + $"{grant.Scope switch { "once" => "once", "session" => "until the proxy ends", _ => $"until {grant.Until:yyyy-MM-dd HH:mm:ss}Z" }}  by {grant.By} at {grant.At:HH:mm:ss}Z");

    private static Command Revoke()
    {
        var (api, json) = (new RunningApi(), new Option<bool>("--json") { Description = "Print JSON." });
        var id = new Argument<string>("ID") { Description = "The answer, as in g3." };
        var command = new Command("revoke", "Take an answer back: what goes on because of it ends, and what comes is asked again.") { id, json };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var grant = await api.AskAsync(parsed, HttpMethod.Delete, $"/api/grants/{Uri.EscapeDataString(parsed.GetRequiredValue(id))}", ApprovalJson.Default.GrantReport, cancellation);
            parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(grant, ApprovalJson.Readable.GrantReport) : $"{grant.Id} counts no more: {grant.Host}");
            return ExitCode.Fine;
        }));
        return command;
    }
}
