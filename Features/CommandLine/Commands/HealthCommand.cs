using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Api;
using Discobot.Infrastructure;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot health</c>: exit code 0 when the proxy serves. What the images' HEALTHCHECK calls.</summary>
internal static class HealthCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("health", "Ask the running proxy whether it serves; exit code 0 when it does.") { json };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var health = await api.AskAsync(parsed, HttpMethod.Get, "/health", ApiJson.Default.Health, cancellation);
            // Asked at an address of the caller's own it is that one's, whoever started it.
            if (api.IsContainers(parsed) && StartToken.Read(StartToken.SeenFile) is { } token && health.StartToken != token)
                throw new IOException("the proxy that answers is not this container's: another container shares its network");
            await parsed.InvocationConfiguration.Output.WriteLineAsync(parsed.GetValue(json)
                ? JsonSerializer.Serialize(health, ApiJson.Readable.Health) : $"{health.Status} (pid {health.Pid})");
            return ExitCode.Fine;
        }));
        return command;
    }
}
