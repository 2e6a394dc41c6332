using System.CommandLine;
using Discobot.Features.Configuration;
using Discobot.Features.Init;
using Discobot.Features.Shutdown;
using Discobot.Features.TrustStore;
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
        // Before anything else: process 1 gets no signal that it has no handler for. The runtime's own way is to ignore SIGPIPE.
        IgnoredSignals.Restore(but: Signal.Pipe);
        using var signals = new StopSignals();
        using var orphans = new Orphans();
        using var spawner = new Spawner();
        var environment = ContainerInit.OwnEnvironment();
        var paths = new ContainerPaths();
        var log = new InitLog(Console.Out, Console.Error, environment.GetValueOrDefault("DISCOBOT_DEBUG") == "1");
        // The container trusts the authority of one place, so the proxy may use no other.
        if (environment.Remove("CERT_DIR"))
            log.Warning($"CERT_DIR is ignored: in a container the authority is in {paths.Certificates}");
        var init = new ContainerInit(paths, Services(paths, environment, log), log, spawner);
        var outcome = await init.RunAsync(environment, arguments, signals);
        return await new OrderlyStop(log, TimeProvider.System).RunAsync(outcome);
    }

    private static InitServices Services(ContainerPaths paths, IReadOnlyDictionary<string, string> environment, InitLog log) => new()
    {
        EnsureAuthority = InitTrust.EnsureAuthority(log),
        InstallTrust = InitTrust.InstallTrust(log),
        FollowBundleForJava = (bundle, store) => JavaTrustStore.Follow(bundle, store),
        ChooseConfig = workspace => Choose(ContainerConfig.Choose(workspace, paths.Policy, environment)),
    };

    private static ConfigChoice Choose(ContainerConfig config)
    {
        var settings = config.Settings;
        var summary = new ProxySummary
        {
            Port = settings.Proxy.Port,
            ApiPort = settings.Api.Port,
            LogFile = settings.Logging.File,
            Init = settings.Init,
            SecretVariables = config.SecretVariables,
        };
        return new ConfigChoice(config.Text, config.Source, summary, config.Refused);
    }
}
