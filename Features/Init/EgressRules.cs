using Discobot.Features.Egress;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Leaves the container one way out, through the proxy. Closed before the proxy starts, so that there is no moment without rules, and led to the
/// proxy once it serves. The rules belong to process 1 and last as long as it does.
/// </summary>
internal sealed class EgressRules(Container container)
{
    private IEgressTable? _table;
    private EgressOptions _options = new();
    private Owner _proxyOwner = Owner.Root;

    /// <summary>What the packet filter lets out, as it is now.</summary>
    public EgressMode Mode { get; private set; } = EgressMode.Open;

    /// <summary>Whether what the agent starts may not undo the rules.</summary>
    public bool Confines => Mode == EgressMode.Enforce && !_options.TrustAgent;

    /// <summary>Whether it may not gain privileges by a program either.</summary>
    public bool NoNewPrivileges => Confines && _options.NoNewPrivileges;

    /// <summary>Finds out whether there can be rules, and closes the way out where that is enforced.</summary>
    public Task CloseAsync(DataVolume volume, ProxySummary proxy)
    {
        (_options, _proxyOwner) = (proxy.Egress, volume.ProxyOwner);
        if (_options.Mode is not (EgressMode.Redirect or EgressMode.Enforce))
        {
            // The configuration could not be put in place, and its word with it.
            return container.Environment.GetValueOrDefault("DISCOBOT_EGRESS") == "enforce"
                ? throw new StartupException("DISCOBOT_EGRESS=enforce cannot be kept without the proxy's configuration")
                : Task.CompletedTask;
        }

        if (NetworkNamespace.IsTheMachines())
            return Refuse("this is the machine's own network, whose other programs would be led to the proxy too", "run the container without --network host");
        if (_options is { Mode: EgressMode.Enforce, TrustAgent: false } && container.Agent.User == 0)
            throw new StartupException("egress.mode enforce cannot be kept: the agent would run as root, who can undo it; set AGENT_USER to another user, or egress.trust_agent: true in the operator's policy");
        try
        {
            _table = container.Services.OpenEgressTable();
            _table.Set(Plan(isServed: false));
            container.Running.Hold(_table);
            Mode = _options.Mode.Value;
        }
        catch (LibcException error)
        {
            _table?.Dispose();
            _table = null;
            return Refuse(error.Message, "run the container with --cap-add NET_ADMIN");
        }

        return Task.CompletedTask;
    }

    /// <summary>Leads everybody to the proxy. Where it does not serve, nobody leaves where that is enforced; else all do.</summary>
    public Task LeadAsync(ClientProxy proxy)
    {
        if (_table is null)
            return Task.CompletedTask;
        if (proxy.Serves)
        {
            _table.Set(Plan(isServed: true));
            container.Log.Info($"egress {EgressOptions.Word(Mode)}: the way out leads through the proxy");
        }
        else if (Mode == EgressMode.Enforce)
        {
            throw new StartupException("egress.mode is enforce and the proxy does not serve");
        }
        else
        {
            _table.Dispose();
            (_table, Mode) = (null, EgressMode.Open);
        }

        return Task.CompletedTask;
    }

    private Task Refuse(string reason, string remedy)
    {
        if (_options.Mode == EgressMode.Enforce)
            throw new StartupException($"egress.mode enforce cannot be kept: {reason}; {remedy}, or give up the promise with DISCOBOT_EGRESS=open");
        container.Log.Warning($"programs that do not use the proxy go out directly: {reason}; {remedy}, or DISCOBOT_EGRESS=open to do without");
        return Task.CompletedTask;
    }

    private EgressPlan Plan(bool isServed) => new(
        _options.Mode!.Value,
        _proxyOwner.User,
        (ushort)_options.Port,
        (ushort)_options.DnsPort)
    { IsServed = isServed };
}
