using System.Net;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Nftables;

namespace Discobot.Features.Init;

/// <summary>What other features do for the start-up. The command that composes the program fills it in.</summary>
internal sealed record InitServices
{
    /// <summary>Loads the certificate authority in a directory or makes one: <c>ca.crt</c> and <c>ca.key</c>.</summary>
    public required Func<string, CancellationToken, Task> EnsureAuthority { get; init; }

    /// <summary>Makes the container trust the certificate in a file, and says by which bundle.</summary>
    public required Func<string, CancellationToken, Task<TrustOutcome>> InstallTrust { get; init; }

    /// <summary>Keeps a Java trust store (second path) equal to a bundle of certificates (first path).</summary>
    public required Action<string, string> FollowBundleForJava { get; init; }

    /// <summary>What is wrong with the operator's policy and variables.</summary>
    public required Func<IReadOnlyList<string>> OperatorErrors { get; init; }

    /// <summary>Chooses the proxy's configuration, given the workspace's text, or null when it has none.</summary>
    public required Func<string?, ConfigChoice> ChooseConfig { get; init; }

    /// <summary>Whether the container's network is the machine's own.</summary>
    public required Func<bool> IsMachinesNetwork { get; init; }

    /// <summary>Whether this process has a capability.</summary>
    public Func<int, bool> HasCapability { get; init; } = Capabilities.Has;

    /// <summary>Opens the packet filter of the container's network.</summary>
    public required Func<IEgressTable> OpenEgressTable { get; init; }

    /// <summary>Listens for tables of the packet filter that somebody takes away, and tells of each.</summary>
    public required Func<Action<TableLoss>, Func<CancellationToken, Task>> WatchRuleset { get; init; }

    /// <summary>Gives the loopback interface one more address.</summary>
    public required Action<IPAddress> AddLoopbackAddress { get; init; }

    /// <summary>Lets sockets that are bound to an interface reach an address of the loopback interface.</summary>
    public required Action<IPAddress> AddLoopbackRoutes { get; init; }

    /// <summary>Listens for interfaces that come up, and tells when there may be one.</summary>
    public required Func<Action, Func<CancellationToken, Task>> WatchInterfaces { get; init; }
}

/// <summary>How installing the authority went.</summary>
/// <param name="Bundle">The file that holds every trusted authority, the user's and ours among them; null when there is nowhere to have one.</param>
/// <param name="Message">One line for the log; a warning when <paramref name="Trusted"/> is false.</param>
/// <param name="Trusted">Whether the system's own store trusts the authority.</param>
internal sealed record TrustOutcome(string? Bundle, string Message, bool Trusted)
{
    /// <summary>Ours and the user's own, for clients that add a file to their own authorities; null when the user has none.</summary>
    public string? Additional { get; init; }

    /// <summary>Whether the system's own bundle can be read by others than root.</summary>
    public bool IsForAll { get; init; } = true;

    /// <summary>What the distribution's own tool has still to do; null when it has nothing.</summary>
    public Func<CancellationToken, Task>? Afterwards { get; init; }
}

/// <summary>The configuration that the proxy gets.</summary>
/// <param name="Text">The file.</param>
/// <param name="Source">Where it comes from.</param>
/// <param name="Summary">What of it the start-up needs.</param>
/// <param name="Refused">Why another one was not used.</param>
internal sealed record ConfigChoice(string Text, string Source, ProxySummary Summary, IReadOnlyList<string> Refused);

/// <summary>The part of the proxy's configuration that the start-up itself needs.</summary>
internal sealed record ProxySummary
{
    public int Port { get; init; } = 17080;

    public int ApiPort { get; init; } = 17081;

    /// <summary>Where the proxy's log goes; null is the standard output.</summary>
    public string? LogFile { get; init; }

    /// <summary>What the tools of this container are told of the proxy.</summary>
    public ProxyState State { get; init; } = new();

    /// <summary>Variables for the proxy alone: whatever runs as the agent does not get them.</summary>
    public IReadOnlyCollection<string> SecretVariables { get; init; } = [];

    /// <summary>Files that the operator's values are in.</summary>
    public IReadOnlyCollection<string> SecretPaths { get; init; } = [];

    /// <summary>Programs that say what the operator's secrets are, each with its arguments.</summary>
    public IReadOnlyCollection<IReadOnlyList<string>> SecretCommands { get; init; } = [];

    /// <summary>What the agent gets in place of secrets: values of its variables, by their names.</summary>
    public IReadOnlyDictionary<string, string> Placeholders { get; init; } = new Dictionary<string, string>();

    /// <summary>A variable more for the proxy alone, by which it makes the same placeholders; null: there are none.</summary>
    public KeyValuePair<string, string>? PlaceholderSeed { get; init; }

    /// <summary>Whether clients have to say who they are (<c>clients</c>, <c>socks.users</c>).</summary>
    public bool AsksForUsers { get; init; }

    /// <summary>Whether somebody asked for that mode of egress by its name: then there is no other.</summary>
    public bool EgressIsNamed { get; init; }

    /// <summary>The <c>egress</c> section, its mode chosen; null when no configuration could be put in place.</summary>
    public EgressOptions Egress { get; init; } = new();

    /// <summary>Whether the agent gets Docker's socket by way of one that refuses what leads out; null is where egress is enforced.</summary>
    public bool? DockerGuard { get; init; }

    /// <summary>The <c>init</c> section.</summary>
    public InitOptions Init { get; init; } = new();
}
