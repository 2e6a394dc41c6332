using System.Net;
using System.Net.Sockets;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Dns;
using Discobot.Features.Egress.Nftables;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Leaves the container one way out, through the proxy. Closed before the proxy starts, so that there is no moment without rules, and led to the
/// proxy once it serves. The rules belong to this process and last until the stop is over; where egress is enforced they stay closed if it is killed.
/// </summary>
internal sealed class EgressRules(Container container) : IDisposable
{
    private readonly Lock _tables = new();
    private readonly WaysToTheEntry _ways = new(container);
    private IEgressTable? _table;
    private EgressPlan? _plan;

    // What the table holds may be another init's programs, until this start knows the mode.
    private bool _isAnothers;
    private long _attacks;
    private EgressOptions _options = new();
    private EgressMode _wanted;
    private bool _isNamed;
    private bool _leadsContainers;
    private bool? _guard;
    private Owner _proxyOwner = Owner.Root;
    private List<NetworkBridge> _uplinks = [];

    /// <summary>What the packet filter lets out, as it is now.</summary>
    public EgressMode Mode { get; private set; } = EgressMode.Open;

    /// <summary>Whether what the agent starts may not undo the rules.</summary>
    public bool Confines => Mode == EgressMode.Enforce && !_options.TrustAgent;

    /// <summary>Whether it may not gain privileges by a program either.</summary>
    public bool NoNewPrivileges => Confines && _options.NoNewPrivileges;

    /// <summary>Whether Docker's socket is the agent's only by way of the guard: as somebody said, else where egress is enforced in fact.</summary>
    public bool GuardsDocker => _guard ?? Mode == EgressMode.Enforce;

    /// <summary>Bridges that led somewhere before the inner Docker was there.</summary>
    public IReadOnlyList<NetworkBridge> Uplinks => _uplinks;

    /// <summary>Keeps closed what an init left closed that was killed in this network: what it had started may go on. Root leaves, which prepares
    /// the container.</summary>
    public void TakeOver()
    {
        if (container.Services.IsMachinesNetwork())
            return;
        IEgressTable? table = null;
        try
        {
            table = container.Services.OpenEgressTable();
            if (table.IsThere)
            {
                table.Set(new EgressPlan(EgressMode.Enforce, ProxyUser: 0, (ushort)_options.Port, (ushort)_options.DnsPort) { IsServed = false });
                (_table, table, _isAnothers) = (table, null, true);
                container.Log.Info("egress: the rules of an init that was killed are there; nothing leaves until they are renewed");
            }
        }
        catch (LibcException error)
        {
            container.Log.Debug($"no rules of an earlier start are taken over: {error.Message}");
        }
        finally
        {
            table?.Dispose();
        }
    }

    /// <summary>Takes the rules away: when all that they held has ended. Those of an init that was killed stay, if this one did not come to know the mode.</summary>
    public void Dispose()
    {
        lock (_tables)
        {
            try
            {
                if (_isAnothers)
                    _table?.Leave();
                else
                    _table?.Dispose();
            }
            catch (LibcException error)
            {
                container.Log.Warning($"the rules of the way out may have stayed: {error.Message}");
            }

            (_table, Mode) = (null, EgressMode.Open);
        }
    }

    /// <summary>Finds out whether there can be rules, and closes the way out where that is enforced.</summary>
    public Task CloseAsync(DataVolume volume, ProxySummary proxy)
    {
        (_options, _proxyOwner, _guard) = (proxy.Egress, volume.ProxyOwner, proxy.DockerGuard);
        if (_options.Mode is not { } mode)
            return JudgeUnknown();
        _isAnothers = false;
        if (mode == EgressMode.Open)
        {
            Dispose();
            return Task.CompletedTask;
        }

        (_wanted, _isNamed, _leadsContainers) = (mode, proxy.EgressIsNamed, proxy.Init.NestedDocker);
        if (container.Services.IsMachinesNetwork())
            return Refuse("this is the machine's own network, whose other programs would be led to the proxy too", "run the container without --network host");
        if (!_options.TrustAgent && AgentLimits.Unheld(container, _proxyOwner, _options, _wanted) is { } reason)
            Lower(reason);
        try
        {
            FindUplinks();
            _table ??= container.Services.OpenEgressTable();
            Apply(isServed: false);
            // Listened for first: what comes up meanwhile is not missed.
            _ways.Watch();
            _ways.Add();
            AnswerOwners();
            container.Running.InBackground("watch over the packet filter", container.Services.WatchRuleset(Judge), container.Log);
            container.Running.InBackground("watch over the table of connections",
                stop => ConnectionTable.WatchAsync(() => ConnectionTable.Read(), container.Log.Warning, TimeProvider.System, stop), container.Log);
            if (_wanted == EgressMode.Redirect)
                container.Running.InBackground("watch over what goes past the proxy", stop => PassedDestinations.WatchAsync(Passed, container.Log.Info, TimeProvider.System, stop), container.Log);
            Mode = _wanted;
        }
        catch (LibcException error)
        {
            _table?.Dispose();
            _table = null;
            return Refuse(error.Message, error.Number == LibcException.NotPermitted
                ? "run the container with --cap-add NET_ADMIN" : "the kernel needs nf_tables with nat, fib and reject");
        }

        return Task.CompletedTask;
    }

    // Before the inner Docker is there, to which its name says it belongs. One without a port leads nowhere: an earlier dockerd's, in a pod's network.
    private void FindUplinks()
    {
        _uplinks = [.. NetworkBridge.All().Where(bridge => bridge.HasPort)];
        foreach (var bridge in _uplinks)
            container.Log.Info($"egress: the bridge {bridge.Name} leads out, it had ports before Docker was there");
    }

    /// <summary>Leads everybody to the proxy. Where it does not serve, nobody leaves where that is enforced; else all do.</summary>
    public Task LeadAsync(ClientProxy proxy)
    {
        if (_table is null)
            return Task.CompletedTask;
        // Programs that could not trust the proxy are better off without it, unless a promise or a policy says otherwise.
        if (proxy.Serves && (Mode == EgressMode.Enforce || proxy.LeadsClients))
        {
            // Who does not get the authority could not trust the proxy.
            _leadsContainers &= proxy.Trust.Bundle is not null;
            Apply(isServed: true);
            container.Log.Info($"egress {EgressOptions.Word(Mode)}: the way out leads through the proxy");
        }
        else if (Mode == EgressMode.Enforce)
        {
            throw new StartupException("egress.mode is enforce and the proxy does not serve");
        }
        else
        {
            Dispose();
            if (proxy.Serves)
                container.Log.Warning("programs that do not use the proxy go out directly: there is no way by which they could trust it");
        }

        return Task.CompletedTask;
    }

    // The configuration could not be put in place, and its word with it.
    private Task JudgeUnknown()
    {
        if (container.Environment.GetValueOrDefault("DISCOBOT_EGRESS") == "enforce" || Path.Exists(container.Paths.Policy))
            throw new StartupException("who runs this container says what may leave it, which cannot be kept without the proxy's configuration");
        _isAnothers = false;
        Dispose();
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

    private void Lower(string reason)
    {
        if (_wanted == EgressMode.Enforce && _isNamed)
            throw new StartupException($"egress.mode enforce cannot be kept: {reason}");
        if (_wanted == EgressMode.Enforce)
            container.Log.Warning($"egress redirect instead of enforce: {reason}");
        _wanted = EgressMode.Redirect;
    }

    private void Apply(bool isServed)
    {
        lock (_tables)
        {
            _plan = Plan(isServed);
            _table!.Set(_plan);
        }
    }

    // Called on a thread of the watch's. Our own table is process 1's and stays when the others are flushed; whatever took it even so is undone.
    private void Judge(TableLoss loss)
    {
        lock (_tables)
        {
            if (_table is null || _plan is not { } plan)
                return;
            var isOurs = loss.Name == EgressFeature.Table;
            // Each plan of our own takes the place of the one before.
            if (isOurs && _table.IsThere)
                return;
            // dockerd's own, where it makes some by nftables.
            if (loss.Program == "dockerd" && !isOurs)
                return;
            if (isOurs)
                _table.Set(plan);
            Interlocked.Increment(ref _attacks);
        }

        container.Log.Warning($"attack: {loss.Program} took the table {loss.Name} out of the packet filter; the rules of the way out are {(loss.Name == EgressFeature.Table ? "put back" : "untouched")}");
    }

    private IReadOnlyList<IPEndPoint> Passed()
    {
        lock (_tables)
            return _table?.Passed() ?? [];
    }

    private Dictionary<string, long> Counted()
    {
        lock (_tables)
        {
            var counted = new Dictionary<string, long> { ["attack"] = Interlocked.Read(ref _attacks) };
            if (ConnectionTable.Read() is { } connections)
                (counted["connections"], counted["connections_max"]) = (connections.Count, connections.Limit);
            try
            {
                foreach (var (kind, packets) in _table?.Refused() ?? new Dictionary<string, long>())
                    counted[kind] = packets;
            }
            catch (LibcException error)
            {
                container.Log.Debug($"what the packet filter refused is not known: {error.Message}");
            }

            return counted;
        }
    }

    private void AnswerOwners()
    {
        var socket = container.Paths.In(OwnerService.SeenSocket);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(socket)!);
            container.Running.InBackground("search for owners of connections", OwnerService.Listen(socket, _proxyOwner, Counted), container.Log);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SocketException)
        {
            container.Log.Warning($"the log does not tell which program tries to go past the proxy: {error.Message}");
        }
    }

    private EgressPlan Plan(bool isServed)
    {
        return new EgressPlan(_wanted, _proxyOwner.User, (ushort)_options.Port, (ushort)_options.DnsPort)
        {
            IsServed = isServed,
            LeadsContainers = _wanted == EgressMode.Enforce || _leadsContainers,
            Uplinks = [.. _uplinks.Select(bridge => bridge.Index)],
            DockerAsks = DockersResolver.Asks(ResolverLines()),
        };
    }

    // Without one that can be read, nobody in here asks Docker's resolver either.
    private string[] ResolverLines()
    {
        var path = Path.Combine(container.Paths.Etc, "resolv.conf");
        try
        {
            return File.Exists(path) ? RegularFile.ReadAllLines(path) : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"no name server is known: {error.Message}");
            return [];
        }
    }
}
