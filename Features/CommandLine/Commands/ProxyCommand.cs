using System.CommandLine;
using Discobot.Features.Configuration;
using Discobot.Features.Interception;
using Discobot.Features.Shutdown;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Logging;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot proxy [-config FILE]</c>: the proxy in the foreground, until a signal ends it.</summary>
internal static class ProxyCommand
{
    public static Command Create()
    {
        var config = new Option<string?>("-config", "--config", "-c")
        {
            Description = "Configuration file (YAML). Without it: $CONFIG_FILE, else the built-in default with Docker caching on.",
            HelpName = "FILE",
        };
        Option<string?>[] overrides =
        [
            new("--port") { Description = "Port for HTTP, HTTPS and SOCKS5 [$PROXY_PORT; 17080].", HelpName = "PORT" },
            new("--api-port") { Description = "Port of the REST API [$API_PORT; 17081].", HelpName = "PORT" },
            new("--cert-dir") { Description = "Directory of ca.crt and ca.key [$CERT_DIR].", HelpName = "DIR" },
            new("--log-level") { Description = "debug, info, warn or error [$LOG_LEVEL; info].", HelpName = "LEVEL" },
            new("--log-format") { Description = "text or json [$LOG_FORMAT; text].", HelpName = "FORMAT" },
            new("--log-file") { Description = "File for the log [$LOG_FILE; the standard output].", HelpName = "FILE" },
        ];
        var command = new Command("proxy", "Run the proxy: HTTP, HTTPS and SOCKS5 on port 17080, the REST API on 17081.") { config };
        foreach (var option in overrides)
            command.Options.Add(option);
        command.SetAction((parsed, cancellation) => RunAsync(
            SettingsSources.OfProcess(parsed.GetValue(config), overrides
                .Where(option => parsed.GetValue(option) is not null)
                .ToDictionary(option => option.Name, option => parsed.GetValue(option)!)),
            cancellation));
        return command;
    }

    private static async Task<int> RunAsync(SettingsSources sources, CancellationToken cancellation)
    {
        using var harmless = new HarmlessSignals();
        ProcessMemory.Hide();
        EventThreads.Use();
        Descriptors.Raise();
        var loaded = sources.Load(FileChecks.ForStart);
        if (loaded.Value is not { } settings)
        {
            await Console.Error.WriteLineAsync(loaded.ErrorText());
            return ExitCode.Usage;
        }

        try
        {
            await using var proxy = ProxyProgram.Build(settings, sources);
            var configuration = proxy.Services.GetRequiredService<LiveConfiguration>();
            using var run = new GracefulStop(proxy, settings.Proxy.DrainLimit, () => configuration.Reload(), () => proxy.Services.GetService<LogFile>()?.Reopen());
            await run.RunAsync(cancellation);
            return ExitCode.Fine;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var remedy = e.InnerException is AddressInUseException
                ? " Stop what listens there, or choose other ports with --port and --api-port." : "";
            await Console.Error.WriteLineAsync($"discobot: {e.Message}{remedy}");
            return ExitCode.Failed;
        }
    }
}
