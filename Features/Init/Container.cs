using Discobot.Features.Egress;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>What every step of the start-up works with, and what the steps find out for those that follow.</summary>
/// <param name="paths">Where things are.</param>
/// <param name="session">What the environment asked for.</param>
/// <param name="agent">The user that the agent runs as.</param>
/// <param name="environment">The environment this process was started with.</param>
/// <param name="services">What other features do for the start-up.</param>
/// <param name="log">Where the lines go.</param>
/// <param name="spawner">Starts programs.</param>
internal sealed class Container(
    ContainerPaths paths, SessionOptions session, UserRecord agent, IReadOnlyDictionary<string, string> environment,
    InitServices services, InitLog log, Spawner spawner)
{
    /// <summary>Where programs are when the environment does not say.</summary>
    public const string UsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    public ContainerPaths Paths { get; } = paths;

    public SessionOptions Session { get; } = session;

    public UserRecord Agent { get; } = agent;

    public IReadOnlyDictionary<string, string> Environment { get; } = environment;

    public InitServices Services { get; } = services;

    public InitLog Log { get; } = log;

    public Spawner Spawner { get; } = spawner;

    public ToolRun Tools { get; } = new(spawner);

    public RunningProcesses Running { get; } = new();

    /// <summary>Arguments of ours that the agent-api gets.</summary>
    public IReadOnlyList<string> AgentArguments { get; init; } = [];

    /// <summary>Who the proxy runs as; root only where no user could be made.</summary>
    public Owner ProxyOwner { get; set; } = Owner.Root;

    /// <summary>The name for <see cref="ProxyOwner"/>; null for root.</summary>
    public string? ProxyUser { get; set; }

    /// <summary>The certificate authority, being made while the workspace is cloned.</summary>
    public Task? Authority { get; set; }

    /// <summary>The file that the proxy reads.</summary>
    public string ProxyConfigFile { get; set; } = paths.ProxyConfig;

    /// <summary>What the configuration in force says; the defaults until it is read.</summary>
    public ProxySummary Proxy { get; set; } = new();

    /// <summary>The file with every authority the container trusts, ours among them; null when there is none.</summary>
    public string? TrustBundle { get; set; }

    /// <summary>Whether the system's own store trusts our authority.</summary>
    public bool SystemTrusts { get; set; } = true;

    /// <summary>Ours and the user's own authorities, where the user has some.</summary>
    public string? AdditionalAuthorities { get; set; }

    /// <summary>Whether there is a Java, and a trust store for it.</summary>
    public bool HasJavaTrust { get; set; }

    /// <summary>Whether containers of the inner Docker reach the proxy.</summary>
    public bool NestedReady { get; set; }

    /// <summary>What the packet filter lets out.</summary>
    public EgressMode Egress { get; set; } = EgressMode.Open;

    /// <summary>Whether what the agent starts may not undo the rules of the way out.</summary>
    public bool Confines => Egress == EgressMode.Enforce && !Proxy.Egress.TrustAgent;

    /// <summary>Whether the proxy serves, so that the environment may point at it.</summary>
    public bool ProxyReady { get; set; }

    /// <summary>Whether clients are told of the proxy: when it serves, and there is a way by which they can trust it. Under a policy of the operator's
    /// they are told even so: what they then refuse stays inside.</summary>
    public bool LeadsToProxy => ProxyReady && (TrustBundle is not null || Path.Exists(Paths.Policy));

    /// <summary>The environment of what runs as the agent: ours, the user's own names, and the proxy's variables when it is up.</summary>
    public Dictionary<string, string> ChildEnvironment()
    {
        var environment = SharedEnvironment();
        environment["HOME"] = Agent.Home;
        environment["USER"] = Agent.Name;
        environment["LOGNAME"] = Agent.Name;
        environment["DISCOBOT_HOOKS_ENABLED"] = "true";
        if (LeadsToProxy)
        {
            foreach (var (name, value) in ProxyEnvironment.Variables(this))
                environment[name] = value;
        }

        return environment;
    }

    /// <summary>The environment this process was started with, without what is the proxy's or the clone's alone and what points at one of ours.</summary>
    public Dictionary<string, string> SharedEnvironment()
    {
        var environment = ProxyEnvironment.Without(Environment, Proxy.Port);
        foreach (var secret in Proxy.SecretVariables)
            environment.Remove(secret);
        if (environment.TryGetValue("WORKSPACE_PATH", out var source))
            environment["WORKSPACE_PATH"] = GitSource.Parse(source).Url;
        return environment;
    }

    /// <summary>
    /// The environment of a program that root runs: without the directories on PATH, and without any variable, that lead to what the
    /// agent, or anybody but root, can change. Loaders and interpreters would run it (LD_LIBRARY_PATH, PYTHONPATH, HOME with its
    /// <c>.gitconfig</c> and a hundred more).
    /// </summary>
    public Dictionary<string, string> RootEnvironment()
    {
        var environment = SharedEnvironment();
        foreach (var (name, value) in environment.Where(v => v.Key.StartsWith("LD_", StringComparison.Ordinal) || !Trusted.Allows(v.Value)).ToList())
            environment.Remove(name);
        environment["PATH"] = Trusted.Filter(Environment.GetValueOrDefault("PATH", UsualPath)) is { Length: > 0 } path ? path : UsualPath;
        environment.TryAdd("HOME", "/root");
        environment["USER"] = environment["LOGNAME"] = "root";
        return environment;
    }

    /// <summary>Looks a program up that root may run: in those directories on PATH that only root can change.</summary>
    public string? FindProgram(string name) => Trusted.Find(name, Environment.GetValueOrDefault("PATH", UsualPath));

    /// <summary>Whether a program is on PATH, whoever may run it.</summary>
    public bool HasProgram(string name)
        => Environment.GetValueOrDefault("PATH", UsualPath).Split(':').Any(directory => directory.StartsWith('/') && File.Exists(Path.Combine(directory, name)));

    private TrustedPath Trusted => new(Paths.Root, [.. Agent.Groups.Where(group => group != 0)], ["/home", Paths.Home, Paths.In(Agent.Home)]);
}
