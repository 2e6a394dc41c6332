using System.CommandLine;
using Discobot.Features.Configuration;
using Discobot.Features.Credentials;
using Discobot.Features.Egress.Nftables;
using Discobot.Features.Init;
using Discobot.Features.Shutdown;
using Discobot.Features.TrustStore;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot init [ARGS]</c>: the container's entry point and process 1.</summary>
internal static class InitCommand
{
    public static Command Create()
    {
        var command = new Command("init", "Prepare the container, start proxy, Docker and agent, supervise them, stop them in order. "
            + "Further arguments are passed on to the agent-api. What it does is said by variables: SESSION_ID (needed), WORKSPACE_PATH, WORKSPACE_COMMIT, AGENT_BINARY, "
            + "AGENT_USER, DISCOBOT_FILESYSTEM, DISCOBOT_EGRESS, DISCOBOT_STOP_BUDGET, DISCOBOT_STOP_SIGNAL, CACHE_ENABLED, DISCOBOT_DEBUG.")
        {
            TreatUnmatchedTokensAsErrors = false,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.UnmatchedTokens));
        return command;
    }

    /// <summary>Whether the arguments are this command and what follows it is the agent-api's, byte for byte: nothing is parsed then.</summary>
    public static bool Takes(string[] arguments)
        => arguments is ["init", ..] && (Environment.ProcessId == 1 || arguments is not ["init", "--help" or "-h" or "-?"]);

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        // Before anything else: process 1 gets no signal that it has no handler for. The runtime's own way is to ignore SIGPIPE.
        IgnoredSignals.Restore(but: Signal.Pipe);
        // Else the kernel fails our writes to a terminal that the agent has been given (stty tostop).
        Libc.SetDisposition((int)Signal.TerminalOutput, 1);
        // Of what is made here, root and the proxy read what the agent must not change, and the agent what it needs: a container's own umask is the agent's.
        var mask = Libc.SetFileMask(Libc.UsualFileMask);
        var environment = ByteText.OwnEnvironment();
        using var signals = new StopSignals(environment.GetValueOrDefault(StopSignals.Variable));
        using var orphans = new Orphans();
        using var spawner = new Spawner();
        var given = ProxyState.VariablesOf(SettingsSources.OfProcess().Environment);
        var paths = new ContainerPaths();
        using var lines = new LineQueue();
        var log = new InitLog(line => lines.Add(1, line), line => lines.Add(2, line), environment.GetValueOrDefault("DISCOBOT_DEBUG") == "1");
        // The container trusts the authority of one place, so the proxy may use no other.
        if (environment.Remove("CERT_DIR"))
            log.Warning($"CERT_DIR is ignored: in a container the authority is in {paths.Certificates}");
        var init = new ContainerInit(paths, Services(paths, environment, given, log), log, spawner) { FileMask = mask };
        var outcome = await init.RunAsync(environment, arguments, signals);
        var code = await new OrderlyStop(log, TimeProvider.System).RunAsync(outcome);
        // The rules of the way out end with the process, not before: this is its last act.
        outcome.Running.Release();
        return code;
    }

    /// <summary>Why the workspace's configuration, or the operator's, would not be used by a start now.</summary>
    public static IReadOnlyList<string> Refused(ContainerPaths paths, IReadOnlyDictionary<string, string> environment)
    {
        var refused = new List<string>();
        var config = ContainerConfig.Choose(ProxyConfig.ReadWorkspace(paths, refused), paths.Policy, environment);
        return [.. refused, .. config.Refused];
    }

    private static InitServices Services(ContainerPaths paths, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> given, InitLog log) => new()
    {
        EnsureAuthority = InitTrust.EnsureAuthority(log),
        InstallTrust = InitTrust.InstallTrust(log, paths, environment),
        FollowBundleForJava = (bundle, store) => JavaTrustStore.Follow(bundle, store),
        IsMachinesNetwork = static () => NetworkNamespace.IsTheMachines(),
        OpenEgressTable = static () => new EgressTable(),
        WatchRuleset = RulesetWatch.Listen,
        AddLoopbackAddress = LoopbackAddress.Add,
        AddLoopbackRoutes = LoopbackRoute.AddByAll,
        WatchInterfaces = InterfaceWatch.Listen,
        OperatorErrors = () => ContainerConfig.OperatorErrors(paths.Policy, environment),
        ChooseConfig = workspace => Choose(ContainerConfig.Choose(workspace, paths.Policy, environment), given, paths),
    };

    private static ConfigChoice Choose(ContainerConfig config, IReadOnlyDictionary<string, string> given, ContainerPaths paths)
    {
        var settings = config.Settings;
        var seed = Placeholders.NewSeed();
        var summary = new ProxySummary
        {
            Port = settings.Proxy.Port,
            ApiPort = settings.Api.Port,
            LogFile = settings.Logging.File,
            Init = settings.Init,
            DockerGuard = settings.Docker.Guard,
            EgressIsNamed = settings.Egress.Mode is not null,
            Egress = settings.Egress with { Mode = settings.ContainerEgress },
            SecretVariables = config.SecretVariables,
            SecretPaths = [.. settings.Secrets().Where(s => s.Value.Source == SecretSource.File).Select(s => s.Value.Text).Distinct()],
            SecretCommands = [.. settings.Credentials.Secrets.Where(s => s.Command is not null).Select(s => s.Command!.Command)],
            Placeholders = Placeholders.Variables(settings.Credentials, seed),
            PlaceholderSeed = settings.Credentials.IsEmpty ? null : new(Placeholders.SeedVariable, seed),
            AsksForUsers = settings.Users.Count > 0,
            State = ChosenProxy.Of(settings).State with { Config = paths.ProxyConfig, CertDir = paths.Certificates, Variables = given },
        };
        return new ConfigChoice(config.Text, config.Source, summary, config.Refused);
    }
}
