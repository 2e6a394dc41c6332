using System.CommandLine;
using Discobot.Features.Init;
using Discobot.Features.Shutdown;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot init [ARGS]</c>: the container's entry point and process 1.</summary>
internal static class InitCommand
{
    public static Command Create()
    {
        var command = new Command("init", "Prepare the container, start proxy, Docker and agent, supervise them, stop them in order. "
            + "Further arguments are passed on to the agent-api.")
        {
            TreatUnmatchedTokensAsErrors = false,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.UnmatchedTokens));
        return command;
    }

    private static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        // Before anything else: process 1 gets no signal that it has no handler for.
        using var signals = new StopSignals();
        using var spawner = new Spawner();
        var environment = ContainerInit.OwnEnvironment();
        var log = new InitLog(Console.Out, Console.Error, environment.GetValueOrDefault("DISCOBOT_DEBUG") == "1");
        var init = new ContainerInit(new ContainerPaths(), Services(log), log, spawner);
        var outcome = await init.RunAsync(environment, arguments, signals);
        return await new OrderlyStop(log, TimeProvider.System).RunAsync(outcome);
    }

    private static InitServices Services(InitLog log) => new()
    {
        EnsureAuthority = InitTrust.EnsureAuthority(log),
        InstallTrust = InitTrust.InstallTrust(log),
        CheckConfig = (_, _) => new ConfigVerdict([], new ProxySummary()),
        DefaultConfig = "proxy:\n  port: 17080\n  api_port: 17081\n",
    };
}
