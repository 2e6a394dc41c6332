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
/// proxy once it serves. The rules belong to process 1 and last as long as it does.
/// </summary>
internal sealed class EgressRules(Container container)
{
    private readonly Lock _tables = new();
    private IEgressTable? _table;
    private EgressPlan? _plan;
    private long _attacks;
    private EgressOptions _options = new();
    private EgressMode _wanted;
    private bool _isNamed;
    private bool _leadsContainers;
    private bool? _guard;
    private Owner _proxyOwner = Owner.Root;

    /// <summary>What the packet filter lets out, as it is now.</summary>
    public EgressMode Mode { get; private set; } = EgressMode.Open;

    /// <summary>Whether what the agent starts may not undo the rules.</summary>
    public bool Confines => Mode == EgressMode.Enforce && !_options.TrustAgent;

    /// <summary>Whether it may not gain privileges by a program either.</summary>
    public bool NoNewPrivileges => Confines && _options.NoNewPrivileges;

    /// <summary>Whether Docker's socket is the agent's only by way of the guard: as somebody said, else where egress is enforced in fact.</summary>
    public bool GuardsDocker => _guard ?? Mode == EgressMode.Enforce;

    /// <summary>Finds out whether there can be rules, and closes the way out where that is enforced.</summary>
    public Task CloseAsync(DataVolume volume, ProxySummary proxy)
    {
        (_options, _proxyOwner, _guard) = (proxy.Egress, volume.ProxyOwner, proxy.DockerGuard);
        if (_options.Mode is not { } mode)
            return JudgeUnknown();
        if (mode == EgressMode.Open)
            return Task.CompletedTask;
        (_wanted, _isNamed, _leadsContainers) = (mode, proxy.EgressIsNamed, proxy.Init.NestedDocker);
        if (container.Services.IsMachinesNetwork())
            return Refuse("this is the machine's own network, whose other programs would be led to the proxy too", "run the container without --network host");
        if (container.Agent.User == 0 && !_options.TrustAgent)
            JudgeRoot();
        try
        {
            _table = container.Services.OpenEgressTable();
            Apply(isServed: false);
            // Listened for first: what comes up meanwhile is not missed.
            WatchInterfaces();
            AddWaysToTheEntry();
            AnswerOwners();
            container.Running.InBackground("watch over the packet filter", container.Services.WatchRuleset(Judge), container.Log);
            container.Running.InBackground("watch over the table of connections",
                stop => ConnectionTable.WatchAsync(() => ConnectionTable.Read(), container.Log.Warning, TimeProvider.System, stop), container.Log);
            if (_wanted == EgressMode.Redirect)
                container.Running.InBackground("watch over what goes past the proxy", stop => PassedDestinations.WatchAsync(Passed, container.Log.Info, TimeProvider.System, stop), container.Log);
            container.Running.Hold(_table);
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

    // What binds itself to an interface that comes later hangs without; nobody gets out by that.
    private void WatchInterfaces()
    {
        try
        {
            container.Running.InBackground("watch over the network's interfaces", container.Services.WatchInterfaces(AddRoutes), container.Log);
        }
        catch (LibcException error)
        {
            container.Log.Warning($"programs that bind themselves to an interface that comes later are not led to the proxy: {error.Message}");
        }
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
            lock (_tables)
            {
                _table.Dispose();
                (_table, Mode) = (null, EgressMode.Open);
            }

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

    // Where nested containers, and sockets that are bound to an interface, are led.
    private void AddWaysToTheEntry()
    {
        foreach (var address in EgressFeature.Nested)
            Try(container.Services.AddLoopbackAddress, address);
        AddRoutes();
    }

    // The kernel takes a route away when its interface goes down, and knows of none by one that is new.
    private void AddRoutes()
    {
        foreach (var address in (IPAddress[])[IPAddress.Loopback, IPAddress.IPv6Loopback])
            Try(container.Services.AddLoopbackRoutes, address);
    }

    private void Try(Action<IPAddress> add, IPAddress address)
    {
        try
        {
            add(address);
        }
        catch (LibcException error)
        {
            // IPv6 may be off. What is sent there is then answered by nobody, or refused.
            container.Log.Debug($"no way to {address} for everybody: {error.Message}");
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
