using System.CommandLine;
using Discobot.Features.Api;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot health</c>: exit code 0 when the proxy serves. What the images' HEALTHCHECK calls.</summary>
internal static class HealthCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var command = new Command("health", "Ask the running proxy whether it serves; exit code 0 when it does.");
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(async () =>
        {
            var health = await api.AskAsync(parsed, HttpMethod.Get, "/health", ApiJson.Default.Health, cancellation);
            Console.WriteLine($"{health.Status} (pid {health.Pid})");
            return ExitCode.Fine;
        }));
        return command;
    }
}
