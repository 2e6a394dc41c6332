using System.CommandLine;
using System.Text.Json;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot tail</c>: what passes the running proxy, as it passes.</summary>
internal static class TailCommand
{
    public static Command Create()
    {
        var (api, flows) = (new RunningApi(), new FlowOptions());
        var tail = new Command("tail", "Show what passes the running proxy, as it passes.");
        flows.AddTo(tail, withTime: false);
        api.AddTo(tail);
        tail.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var show = flows.Showing(parsed);
            try
            {
                await foreach (var data in api.EventsAsync(parsed, "/api/flows/stream", cancellation))
                {
                    foreach (var flow in JsonElement.Parse(data).EnumerateArray())
                        show(flow);
                }
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return ExitCode.Fine;
            }

            throw new IOException("the proxy has ended");
        }));
        return tail;
    }
}
