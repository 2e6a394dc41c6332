namespace Discobot.Features.Init.Variables;

/// <summary>
/// The proxy as those meet it who start after it: whether it serves, and what they are told of it. A proxy that comes up late serves
/// those that are started then.
/// </summary>
/// <param name="container">Whose proxy it is.</param>
/// <param name="settings">The configuration in force.</param>
/// <param name="trust">By what clients can trust it.</param>
internal sealed class ClientProxy(Container container, ProxySummary settings, ClientTrust trust)
{
    public ProxySummary Settings { get; } = settings;

    public ClientTrust Trust { get; } = trust;

    /// <summary>Whether it has got ready, so that an environment may point at it.</summary>
    public bool Serves { get; private set; }

    /// <summary>Whether clients are told of it: when it serves, and there is a way by which they can trust it. Under a policy of the operator's
    /// they are told even so: what they then refuse stays inside.</summary>
    public bool LeadsClients => Serves && (Trust.Bundle is not null || Path.Exists(container.Paths.Policy));

    /// <summary>Its health check was passed.</summary>
    public void BeginServing() => Serves = true;

    /// <summary>The environment of what runs as the agent.</summary>
    public Dictionary<string, string> AgentEnvironment() => Lead(container.AgentEnvironment(Settings));

    /// <summary>The environment of what root runs.</summary>
    public Dictionary<string, string> RootEnvironment() => Lead(container.RootEnvironment(Settings));

    /// <summary>The variables that send clients through it and let them trust it; none while they are not to be led there.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Variables() => LeadsClients ? ProxyEnvironment.Variables(Settings, Trust, container.Environment) : [];

    private Dictionary<string, string> Lead(Dictionary<string, string> environment)
    {
        foreach (var (name, value) in Variables())
            environment[name] = value;
        return environment;
    }
}
