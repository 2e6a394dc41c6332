using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>What every step of the start-up works with. What a step finds out, those below it get as arguments (<see cref="Startup"/>).</summary>
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

    /// <summary>The umask that this process was started with, which is the agent's.</summary>
    public uint FileMask { get; init; } = Libc.UsualFileMask;

    /// <summary>Arguments of ours that the agent-api gets.</summary>
    public IReadOnlyList<string> AgentArguments { get; init; } = [];

    /// <summary>The environment of what runs as the agent: ours and the user's own names.</summary>
    /// <param name="proxy">The configuration in force, as far as it is known.</param>
    public Dictionary<string, string> AgentEnvironment(ProxySummary proxy)
    {
        var environment = SharedEnvironment(proxy);
        environment["HOME"] = Agent.Home;
        environment["USER"] = Agent.Name;
        environment["LOGNAME"] = Agent.Name;
        environment["DISCOBOT_HOOKS_ENABLED"] = "true";
        foreach (var (name, placeholder) in proxy.Placeholders)
            environment[name] = placeholder;
        return environment;
    }

    /// <summary>
    /// The environment of a program that root runs: without the directories on PATH, and without any variable, that lead to what the
    /// agent, or anybody but root, can change. Loaders and interpreters would run it (LD_LIBRARY_PATH, PYTHONPATH, HOME with its
    /// <c>.gitconfig</c> and a hundred more).
    /// </summary>
    /// <param name="proxy">The configuration in force, as far as it is known.</param>
    public Dictionary<string, string> RootEnvironment(ProxySummary proxy)
    {
        var environment = SharedEnvironment(proxy);
        foreach (var name in Untrusted(environment))
            environment.Remove(name);
        environment["PATH"] = RootPath;
        environment.TryAdd("HOME", "/root");
        environment["USER"] = environment["LOGNAME"] = "root";
        return environment;
    }

    /// <summary>The directories of PATH that only root can change.</summary>
    public string RootPath => Trusted.Filter(Environment.GetValueOrDefault("PATH", UsualPath)) is { Length: > 0 } path ? path : UsualPath;

    /// <summary>The names of those variables by which the agent, or anybody but root, could have a program run something else.</summary>
    public List<string> Untrusted(IReadOnlyDictionary<string, string> environment)
    {
        var trusted = Trusted;
        return [.. environment.Where(v => v.Key.StartsWith("LD_", StringComparison.Ordinal) || !trusted.Allows(v.Value)).Select(v => v.Key)];
    }

    /// <summary>Whether only root can change what an absolute path leads to.</summary>
    public bool IsRootsAlone(string path) => Trusted.Contains(path);

    /// <summary>Looks a program up that root may run: in those directories on PATH that only root can change.</summary>
    public string? FindProgram(string name) => Trusted.Find(name, Environment.GetValueOrDefault("PATH", UsualPath));

    /// <summary>Whether a program is on PATH, whoever may run it.</summary>
    public bool HasProgram(string name)
        => Environment.GetValueOrDefault("PATH", UsualPath).Split(':').Any(directory => directory.StartsWith('/') && File.Exists(Path.Combine(directory, name)));

    // The environment this process was started with, without what is the proxy's or the clone's alone and what points at one of ours.
    private Dictionary<string, string> SharedEnvironment(ProxySummary proxy)
    {
        var environment = ProxyEnvironment.Without(Environment, proxy.Port);
        foreach (var secret in proxy.SecretVariables)
            environment.Remove(secret);
        // The collector's key is the proxy's, as a secret of the configuration would be.
        foreach (var name in environment.Keys.Where(name => name.StartsWith("OTEL_EXPORTER_OTLP_", StringComparison.Ordinal) && name.EndsWith("HEADERS", StringComparison.Ordinal)).ToList())
            environment.Remove(name);
        if (environment.TryGetValue("WORKSPACE_PATH", out var source))
            environment["WORKSPACE_PATH"] = GitSource.Parse(source).Url;
        return environment;
    }

    private TrustedPath Trusted => new(Paths.Root, [.. Agent.Groups.Where(group => group != 0)],
        IsOfTheSystem(Agent.Home) ? ["/home", Paths.Home] : ["/home", Paths.Home, Paths.In(Agent.Home)]);

    // Users of the system have root's directories for a home (daemon: /usr/sbin): those never become theirs.
    private bool IsOfTheSystem(string home)
        => home.StartsWith("/usr/", StringComparison.Ordinal) && Libc.StatusOf(Paths.In(home)) is { Kind: FileKind.Directory, Owner.User: 0 };
}
