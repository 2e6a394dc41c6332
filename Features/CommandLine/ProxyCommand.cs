using System.CommandLine;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot proxy [-config FILE]</c>: the proxy in the foreground, until a signal ends it.</summary>
internal static class ProxyCommand
{
    public static Command Create()
    {
        var config = new Option<string?>("--config", "-config", "-c")
        {
            Description = "Configuration file (YAML). Without it: $CONFIG_FILE, else the built-in default with Docker caching on.",
            HelpName = "FILE",
        };
        var command = new Command("proxy", "Run the proxy: HTTP, HTTPS and SOCKS5 on port 17080, the REST API on 17081.") { config };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(config), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string? file, CancellationToken cancellation)
    {
        await using var proxy = ProxyProgram.Build(file);
        try
        {
            await proxy.RunAsync(cancellation);
            return ExitCode.Fine;
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            await Console.Error.WriteLineAsync($"discobot: {e.Message} Stop what listens there, or set proxy.port and proxy.api_port.");
            return ExitCode.Failed;
        }
    }
}
