using System.Net.Sockets;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Dns;
using Discobot.Infrastructure;
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
    private EgressMode _wanted;
    private bool _isNamed;
    private bool _leadsContainers;
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

        (_wanted, _isNamed, _leadsContainers) = (_options.Mode.Value, proxy.EgressIsNamed, proxy.Init.NestedDocker);
        if (container.Services.IsMachinesNetwork())
            return Refuse("this is the machine's own network, whose other programs would be led to the proxy too", "run the container without --network host");
        if (container.Agent.User == 0 && !_options.TrustAgent)
            JudgeRoot();
        try
        {
            _table = container.Services.OpenEgressTable();
            _table.Set(Plan(isServed: false));
            AddNestedAddresses();
            AnswerOwners();
            container.Running.Hold(_table);
            Mode = _wanted;
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
            // Who does not get the authority could not trust the proxy.
            _leadsContainers &= proxy.Trust.Bundle is not null;
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

    // A promise is kept or not made. Where nobody asked for it by name, the allowlist goes on as it does without rules: for those who use the proxy.
    private Task Refuse(string reason, string remedy)
    {
        if (_wanted == EgressMode.Enforce && _isNamed)
            throw new StartupException($"egress.mode enforce cannot be kept: {reason}; {remedy}, or give up the promise with DISCOBOT_EGRESS=open");
        container.Log.Warning((_wanted == EgressMode.Enforce ? "the allowlist does not bind programs that do not use the proxy, they go out directly" : "programs that do not use the proxy go out directly")
            + $": {reason}; {remedy}, or DISCOBOT_EGRESS=open to do without");
        return Task.CompletedTask;
    }

    // Root takes back whatever is taken from it.
    private void JudgeRoot()
    {
        const string Reason = "the agent runs as root, who can undo it; set AGENT_USER to another user, or egress.trust_agent: true in the operator's policy";
        if (_wanted == EgressMode.Enforce && _isNamed)
            throw new StartupException($"egress.mode enforce cannot be kept: {Reason}");
        if (_wanted == EgressMode.Enforce)
            container.Log.Warning($"egress redirect instead of enforce: {Reason}");
        _wanted = EgressMode.Redirect;
    }

    private void AddNestedAddresses()
    {
        foreach (var address in EgressFeature.Nested)
        {
            try
            {
                container.Services.AddLoopbackAddress(address);
            }
            catch (LibcException error)
            {
                // IPv6 may be off. What nested containers send there is then answered by nobody.
                container.Log.Debug($"no address for nested containers: {error.Message}");
            }
        }
    }

    private void AnswerOwners()
    {
        var socket = container.Paths.In(OwnerService.SeenSocket);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(socket)!);
            container.Running.InBackground("search for owners of connections", OwnerService.Listen(socket, _proxyOwner), container.Log);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SocketException)
        {
            container.Log.Warning($"the log does not tell which program tries to go past the proxy: {error.Message}");
        }
    }

    private EgressPlan Plan(bool isServed)
    {
        var resolvConf = Path.Combine(container.Paths.Etc, "resolv.conf");
        return new EgressPlan(_wanted, _proxyOwner.User, (ushort)_options.Port, (ushort)_options.DnsPort)
        {
            IsServed = isServed,
            LeadsContainers = _wanted == EgressMode.Enforce || _leadsContainers,
            DockerAsks = File.Exists(resolvConf) ? DockersResolver.Asks(File.ReadAllLines(resolvConf)) : null,
        };
    }
}
