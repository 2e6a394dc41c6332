using System.CommandLine;
using Discobot.Features.Api;
using Discobot.Infrastructure;

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
            // Asked at an address of the caller's own it is that one's, whoever started it.
            if (!api.IsNamed(parsed) && StartToken.Read(StartToken.SeenFile) is { } token && health.StartToken != token)
                throw new IOException("the proxy that answers is not this container's: another container shares its network");
            Console.WriteLine($"{health.Status} (pid {health.Pid})");
            return ExitCode.Fine;
        }));
        return command;
    }
}
