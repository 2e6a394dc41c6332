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

    /// <summary>Finds out whether there can be rules, and closes the way out where that is enforced.</summary>
    public Task CloseAsync(CancellationToken cancellationToken)
    {
        if (container.Proxy.Egress.Mode is not (EgressMode.Redirect or EgressMode.Enforce))
        {
            // The configuration could not be put in place, and its word with it.
            return container.Environment.GetValueOrDefault("DISCOBOT_EGRESS") == "enforce"
                ? throw new StartupException("DISCOBOT_EGRESS=enforce cannot be kept without the proxy's configuration")
                : Task.CompletedTask;
        }

        if (NetworkNamespace.IsTheMachines())
            return Refuse("this is the machine's own network, whose other programs would be led to the proxy too", "run the container without --network host");
        if (container.Proxy.Egress is { Mode: EgressMode.Enforce, TrustAgent: false } && container.Agent.User == 0)
            throw new StartupException("egress.mode enforce cannot be kept: the agent would run as root, who can undo it; set AGENT_USER to another user, or egress.trust_agent: true in the operator's policy");
        try
        {
            _table = container.Services.OpenEgressTable();
            _table.Set(Plan(isServed: false));
            container.Running.Hold(_table);
            container.Egress = container.Proxy.Egress.Mode.Value;
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
    public Task LeadAsync(CancellationToken cancellationToken)
    {
        if (_table is null)
            return Task.CompletedTask;
        if (container.ProxyReady)
        {
            _table.Set(Plan(isServed: true));
            container.Log.Info($"egress {EgressOptions.Word(container.Egress)}: the way out leads through the proxy");
        }
        else if (container.Egress == EgressMode.Enforce)
        {
            throw new StartupException("egress.mode is enforce and the proxy does not serve");
        }
        else
        {
            _table.Dispose();
            (_table, container.Egress) = (null, EgressMode.Open);
        }

        return Task.CompletedTask;
    }

    private Task Refuse(string reason, string remedy)
    {
        if (container.Proxy.Egress.Mode == EgressMode.Enforce)
            throw new StartupException($"egress.mode enforce cannot be kept: {reason}; {remedy}, or give up the promise with DISCOBOT_EGRESS=open");
        container.Log.Warning($"programs that do not use the proxy go out directly: {reason}; {remedy}, or DISCOBOT_EGRESS=open to do without");
        return Task.CompletedTask;
    }

    private EgressPlan Plan(bool isServed) => new(
        container.Proxy.Egress.Mode!.Value,
        container.ProxyOwner.User,
        (ushort)container.Proxy.Egress.Port,
        (ushort)container.Proxy.Egress.DnsPort)
    { IsServed = isServed };
}
