using System.CommandLine;
using System.Net.Sockets;
using Discobot.Features.Audit;
using Discobot.Features.Configuration;
using Discobot.Features.Egress;
using Discobot.Features.Interception;
using Discobot.Features.Shutdown;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Logging;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot proxy [--config FILE]</c>: the proxy in the foreground, until a signal ends it.</summary>
internal static partial class ProxyCommand
{
    public static Command Create()
    {
        var config = ConfigFile();
        var overrides = Overrides();
        var command = new Command("proxy", "Run the proxy: HTTP, HTTPS and SOCKS5 on port 17080, the REST API on 17081.");
        config.AddTo(command);
        foreach (var option in overrides)
            command.Options.Add(option);
        command.SetAction((parsed, cancellation) => RunAsync(SourcesOf(parsed, config, overrides), isGateway: false, cancellation));
        return command;
    }

    private static void Reopen(IServiceProvider services)
    {
        services.GetService<LogFile>()?.Reopen();
        services.GetService<AuditLog>()?.Reopen();
    }

    public static ConfigFileOption ConfigFile() =>
        new("Configuration file (YAML). Without it: $CONFIG_FILE, else the built-in default with Docker caching on.");

    /// <summary>The options that stand above the file and the environment; <see cref="SettingsSources"/> knows them by name.</summary>
    public static Option<string?>[] Overrides() =>
    [
        new("--port") { Description = "Port for HTTP, HTTPS and SOCKS5 [$PROXY_PORT; 17080].", HelpName = "PORT" },
        new("--api-port") { Description = "Port of the REST API [$API_PORT; 17081].", HelpName = "PORT" },
        new("--cert-dir") { Description = "Directory of ca.crt and ca.key [$CERT_DIR].", HelpName = "DIR" },
        new("--log-level") { Description = "debug, info, warn or error [$LOG_LEVEL; info].", HelpName = "LEVEL" },
        new("--log-format") { Description = "text or json [$LOG_FORMAT; text].", HelpName = "FORMAT" },
        new("--log-file") { Description = "File for the log [$LOG_FILE; the standard output].", HelpName = "FILE" },
    ];

    /// <summary>Where the settings come from, by what was typed.</summary>
    public static SettingsSources SourcesOf(ParseResult parsed, ConfigFileOption config, IEnumerable<Option<string?>> overrides) =>
        SettingsSources.OfProcess(config.Of(parsed), overrides
            .Where(option => parsed.GetValue(option) is not null)
            .ToDictionary(option => option.Name, option => parsed.GetValue(option)!));

    /// <summary>Runs the proxy, or the gateway, until a signal ends it.</summary>
    public static async Task<int> RunAsync(SettingsSources sources, bool isGateway, CancellationToken cancellation)
    {
        using var harmless = new HarmlessSignals();
        FileMasks.Close();
        // Process 1 inherits what others leave behind, such as programs of docker exec.
        using var orphans = Environment.ProcessId == 1 ? new Orphans() : null;
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
            if (isGateway && settings.Egress.Mode is null)
                (sources, settings) = GatewayCommand.Decide(sources, settings);
            var gateway = isGateway ? Gateway.Find(settings.Gateway) : null;
            using var rules = gateway is null ? null : GatewayCommand.Close(gateway, settings.Egress.Port);
            await using var proxy = ProxyProgram.Build(settings, sources, gateway);
            // The start of a container sets the rules, and whoever starts it so says who it is.
            if (!isGateway && settings.Egress.IsServed && Environment.GetEnvironmentVariable(StartToken.Variable) is null)
                LogWithoutRules(proxy.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Egress"), EgressOptions.Word(settings.Egress.Mode!.Value));
            var configuration = proxy.Services.GetRequiredService<LiveConfiguration>();
            using var run = new GracefulStop(proxy, settings.Proxy.DrainLimit, () => configuration.Reload(), () => Reopen(proxy.Services));
            await run.RunAsync(cancellation);
            return ExitCode.Fine;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException)
        {
            await Console.Error.WriteLineAsync($"discobot: {((e as SocketException ?? e.InnerException as SocketException) is { } failure ? e.Message.TrimEnd('.') + '.' + RemedyFor(failure, isGateway) : e.Message)}");
            return ExitCode.Failed;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "egress.mode is {Mode}, and nothing leads programs here: `discobot init` in a container and `discobot gateway` make the rules for that, `discobot proxy` makes none")]
    private static partial void LogWithoutRules(ILogger logger, string mode);

    private static string RemedyFor(SocketException error, bool isGateway) => error.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => " Stop what listens there, or choose other ports with " + (isGateway ? "--port, --api-port, --ports and --dns-port." : "--port and --api-port."),
        SocketError.AddressNotAvailable => " This machine has no such address: correct proxy.listen or api.listen.",
        SocketError.AccessDenied => " Ports below 1024 need root, the capability NET_BIND_SERVICE, or the setting net.ipv4.ip_unprivileged_port_start=0 of this network.",
        _ => "",
    };
}
