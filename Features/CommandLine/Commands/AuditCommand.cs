using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Audit;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot audit [summary]</c>: reads the audit log from the disk; no proxy has to run.</summary>
internal static class AuditCommand
{
    public static Command Create()
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with what is written from now on." };
        var (file, config, flows) = (FileOption(), ConfigOption(), new FlowOptions());
        var audit = new Command("audit", "Show the audit log: every request, tunnel and refusal that is over.") { follow, file };
        config.AddTo(audit);
        flows.AddTo(audit);
        audit.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var show = flows.Showing(parsed);
            var files = new AuditFiles(PathOf(parsed, file, config));
            try
            {
                await foreach (var flow in parsed.GetValue(follow) ? files.FollowAsync(cancellation) : files.Read().ToAsyncEnumerable())
                    show(flow);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                // Who followed has seen enough.
            }

            return ExitCode.Fine;
        }));
        audit.Subcommands.Add(Summary());
        return audit;
    }

    private static Command Summary()
    {
        var (file, config, flows) = (FileOption(), ConfigOption(), new FlowOptions());
        var summary = new Command("summary", "Show the hosts by requests, with bytes, blocks and the share that the cache answered.") { file };
        config.AddTo(summary);
        flows.AddTo(summary);
        summary.SetAction((parsed, _) => RunningApi.RunAsync(parsed, () =>
        {
            var (counted, filter) = (new AuditSummary(), flows.Filter(parsed));
            foreach (var flow in new AuditFiles(PathOf(parsed, file, config)).Read().Where(filter.Matches))
                counted.Add(flow);
            var output = parsed.InvocationConfiguration.Output;
            if (flows.IsJson(parsed))
                output.WriteLine(JsonSerializer.Serialize(counted.Hosts, AuditJson.Default.IReadOnlyListHostTraffic));
            else
                output.Write(counted.ToText());
            return Task.FromResult(ExitCode.Fine);
        }));
        return summary;
    }

    private static Option<string?> FileOption() => new("--file") { Description = "The audit log. Without it: that of the proxy that runs here.", HelpName = "FILE" };

    private static ConfigFileOption ConfigOption() => new($"The configuration file whose audit.file is meant. {ChosenProxy.Variables}.");

    private static string PathOf(ParseResult parsed, Option<string?> file, ConfigFileOption config) =>
        parsed.GetValue(file) ?? ChosenProxy.Find(config.Of(parsed)).State.AuditFile;
}
