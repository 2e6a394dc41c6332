using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>
/// The table <c>inet discobot</c>: one way out of this network namespace, with the proxy in it. It is set in one transaction, belongs to the
/// connection that set it (so that nobody else can flush it, not even root), and is gone when that connection is, or, where egress is enforced, when it is
/// taken away: whoever kills process 1 sets nobody free. Other tables, such as Docker's, are neither read nor changed.
/// </summary>
internal sealed class EgressTable : IEgressTable
{
    private const string Name = EgressFeature.Table;
    private const uint Root = 0;

    // Before Docker's own translation (-100), which would otherwise send questions for 127.0.0.11 to Docker's resolver first.
    private const int BeforeDocker = -101;

    /// <summary>The inner Docker's own networks; traffic between containers is no way out. The name alone says nothing: an uplink may have it, from the
    /// beginning or when a network is attached later. But none of those is a bridge, except where the plan says so (<see cref="EgressPlan.Uplinks"/>).</summary>
    private static readonly string[] Bridges = ["docker0", "br-*"];

    // Docker's resolver forwards what it is asked to the world outside. Questions for port 53 are redirected before; it listens at others too.
    private static readonly IPNetwork DockersResolver = IPNetwork.Parse("127.0.0.11/32");

    private static readonly ushort[] WebPorts = [80, 443];

    private static readonly IPNetwork[] Loopback = [IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128")];

    // Of the connections that the proxy opened. Nobody else marks any: that takes NET_ADMIN.
    private const uint Ours = 0xD15C0;

    // RFC 4861: without router and neighbour discovery there is no IPv6 at all.
    private static readonly byte[] Discovery = [133, 135, 136];

    // RFC 2710 and 3810: the kernel tells the neighbours of itself which groups it listens to, at once with each interface. They may not hear, since a
    // program chooses its groups; and it is no attempt of anybody's.
    private static readonly byte[] GroupReports = [131, 132, 143];

    private readonly NftTable _table = new(Name);
    private IReadOnlyDictionary<string, long> _refusedBefore = new Dictionary<string, long>();
    private bool _isSet;

    /// <inheritdoc/>
    public void Set(EgressPlan plan)
    {
        // The rules' counters go with the rules.
        if (_isSet)
            _refusedBefore = Refused();
        _table.Replace(plan.Mode == EgressMode.Open ? [] : Chains(plan), plan.Mode == EgressMode.Redirect ? PassedDestinations.Sets : [], outlives: plan.Mode == EgressMode.Enforce);
        _isSet = true;
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, long> Refused()
    {
        var sum = RefusedPackets.Read(Name);
        foreach (var (kind, packets) in _refusedBefore)
            sum[kind] = sum.GetValueOrDefault(kind) + packets;
        return sum;
    }

    /// <inheritdoc/>
    public IReadOnlyList<IPEndPoint> Passed() => PassedDestinations.Read(Name);

    /// <inheritdoc/>
    public bool IsThere => RefusedPackets.Read(Name).Count > 0;

    /// <inheritdoc/>
    public void Leave() => _table.Leave();

    /// <summary>Takes the table away.</summary>
    public void Dispose() => _table.Dispose();

    private static IEnumerable<NftChain> Chains(EgressPlan plan)
    {
        if (plan.IsServed)
        {
            yield return new("redirect", "nat", NftTable.Output, BeforeDocker, Redirections(plan));
            if (plan.LeadsContainers)
                yield return new("nested", "nat", NftTable.Arriving, BeforeDocker, OfContainers(plan));
        }

        if (plan.LeadsContainers && plan.Mode == EgressMode.Enforce)
            yield return new("arrive", "filter", NftTable.Arriving, 0, Pretences());

        yield return new("leave", "filter", NftTable.Output, 0, Departures(plan));
        if (plan.LeadsContainers)
            yield return new("pass", "filter", NftTable.Forward, 0, Passages(plan));
        if (plan.Mode == EgressMode.Enforce)
            yield return new("send", "filter", NftTable.Sending, 0, Sendings());
        yield return new("enter", "filter", NftTable.Input, 0, Arrivals(plan));
    }

    private static IEnumerable<NftRule> Redirections(EgressPlan plan)
    {
        yield return new NftRule().OfUser(plan.ProxyUser).Accept();
        // Docker's resolver is at a loopback address, and others may be; where nothing is enforced, those are the programs' own.
        foreach (var network in plan.Mode == EgressMode.Enforce ? Loopback : [DockersResolver])
        {
            yield return new NftRule().Udp().To(network).ToPort(53).Redirect(plan.DnsPort);
            yield return new NftRule().Tcp().To(network).ToPort(53).Redirect(plan.DnsPort);
        }

        yield return new NftRule().ToThisMachine().Accept();
        foreach (var rule in DockersQuestions(plan))
            yield return rule.Accept();
        yield return new NftRule().Udp().ToPort(53).Redirect(plan.DnsPort);
        yield return new NftRule().Tcp().ToPort(53).Redirect(plan.DnsPort);
        foreach (var rule in LeavingInside(plan))
            yield return rule.Accept();
        if (plan.Mode == EgressMode.Enforce)
        {
            yield return new NftRule().Tcp().Count().Redirect(plan.EntryPort);
        }
        else
        {
            foreach (var port in WebPorts)
                yield return new NftRule().Tcp().ToPort(port).Count().Redirect(plan.EntryPort);
        }
    }

    // Docker's resolver asks on as root in this network. Before its questions left by themselves, they would come back to us, who asked it.
    private static IEnumerable<NftRule> DockersQuestions(EgressPlan plan)
    {
        if (plan.DockerAsks is not { } servers)
            yield break;
        foreach (var network in servers.Count == 0 ? [null] : servers.Select(s => (IPNetwork?)new IPNetwork(s, s.GetAddressBytes().Length * 8)))
        {
            yield return To(new NftRule().OfUser(Root).Udp(), network).ToPort(53);
            yield return To(new NftRule().OfUser(Root).Tcp(), network).ToPort(53);
        }

        static NftRule To(NftRule rule, IPNetwork? network) => network is { } known ? rule.To(known) : rule;
    }

    // What containers of the inner Docker send to the world outside. What they send to each other and to this machine is none of ours.
    private static IEnumerable<NftRule> OfContainers(EgressPlan plan)
    {
        yield return new NftRule().ToThisMachine().Accept();
        yield return new NftRule().RoutedByLoopback().Accept();
        foreach (var name in Bridges)
            yield return new NftRule().RoutedBy(name, plan.Uplinks).Accept();
        foreach (var bridge in Bridges)
        {
            // One address for all bridges, that is none of theirs.
            foreach (var address in EgressFeature.Nested)
            {
                NftRule Of() => new NftRule().ArrivedByBridge(bridge, plan.Uplinks).OfFamily(address.AddressFamily);
                yield return Of().Udp().ToPort(53).Redirect(new IPEndPoint(address, plan.DnsPort));
                yield return Of().Tcp().ToPort(53).Redirect(new IPEndPoint(address, plan.DnsPort));
                foreach (var port in plan.Mode == EgressMode.Enforce ? [null] : WebPorts.Select(p => (ushort?)p))
                    yield return (port is { } web ? Of().Tcp().ToPort(web) : Of().Tcp()).Count().Redirect(new IPEndPoint(address, plan.EntryPort));
            }
        }
    }

    // What is still on its way through: datagrams, and everything while the proxy does not serve yet.
    private static IEnumerable<NftRule> Passages(EgressPlan plan)
    {
        foreach (var rule in LeavingInside(plan))
            yield return rule.Accept();
        if (plan.Mode == EgressMode.Redirect)
        {
            foreach (var rule in Exceptions(plan))
                yield return rule;
            yield break;
        }

        yield return new NftRule().Answering().Accept();
        foreach (var rule in Refusals())
            yield return rule;
    }

    // The entry and the resolver are for this container alone: what comes from elsewhere in the world was not redirected here.
    private static IEnumerable<NftRule> Arrivals(EgressPlan plan)
    {
        yield return new NftRule().ArrivedByLoopback().Accept();
        yield return new NftRule().Redirected().Accept();
        yield return new NftRule().Tcp().ToPort(plan.EntryPort).Reject();
        yield return new NftRule().Tcp().ToPort(plan.DnsPort).Reject();
        yield return new NftRule().Udp().ToPort(plan.DnsPort).Reject();
    }

    private static IEnumerable<NftRule> Departures(EgressPlan plan)
    {
        foreach (var user in plan.IsServed ? [plan.ProxyUser] : (uint[])[plan.ProxyUser, Root])
        {
            if (plan.Mode == EgressMode.Enforce)
                yield return new NftRule().OfUser(user).Asking().Mark(Ours).Accept();
            yield return new NftRule().OfUser(user).Accept();
        }

        foreach (var rule in DockersQuestions(plan))
            yield return rule.Accept();
        if (plan.Mode == EgressMode.Enforce)
        {
            foreach (var rule in Impostures(plan))
                yield return rule;
        }

        // A socket that is bound to an interface by which the loopback has no route (LoopbackRoute) sends there even what was redirected here.
        foreach (var network in Loopback)
        {
            yield return new NftRule().ToThroughElsewhere(network).Reset("other");
            yield return new NftRule().ToThroughElsewhere(network).Udp().Refuse("udp");
        }

        if (plan.Mode == EgressMode.Enforce)
            yield return new NftRule().To(DockersResolver).Refuse("other");
        foreach (var rule in LeavingInside(plan))
            yield return rule.Accept();
        // A redirected packet is still said to leave by the uplink here; its destination is what has changed.
        foreach (var network in Loopback)
            yield return new NftRule().To(network).Accept();
        yield return new NftRule().ToThisMachine().Accept();
        if (plan.Mode == EgressMode.Redirect)
        {
            foreach (var rule in Exceptions(plan))
                yield return rule;
            yield break;
        }

        yield return new NftRule().Answering().Accept();
        foreach (var rule in Endings(plan))
            yield return rule;
        foreach (var rule in Refusals())
            yield return rule;
    }

    // What somebody else sends in another's name. Who may send from an address of the world outside (IPV6_FREEBIND, which takes no capability) to
    // this machine could have it answered, and an answer leaves; so may its own. Who may send from where the proxy's name server is would be it: the
    // kernel takes a question from a port that was sent to before for an answer to that, and delivers it to the sender.
    private static IEnumerable<NftRule> Impostures(EgressPlan plan)
    {
        yield return new NftRule().From(DockersResolver).OfAnotherUser(Root).Refuse("other");
        foreach (var network in Loopback)
        {
            yield return new NftRule().From(network).Udp().FromPort(53).OfAnotherUser(Root).Refuse("udp");
            yield return new NftRule().From(network).Tcp().FromPort(53).OfAnotherUser(Root).Refuse("other");
        }

        // The kernel's own have no address yet.
        foreach (var type in Discovery)
            yield return new NftRule().IcmpV6(type).Accept();
        foreach (var type in GroupReports)
        {
            foreach (var rule in LeavingInside(plan))
                yield return rule.IcmpV6(type).Accept();
            yield return new NftRule().IcmpV6(type).Drop();
        }

        // A refusal would be sent to that address, too; so this comes before whatever refuses.
        yield return new NftRule().FromElsewhere().Drop("other");
    }

    // Containers of the inner Docker may send from whatever address they like (NET_RAW); an answer to that would be let out.
    private static IEnumerable<NftRule> Pretences() =>
        [new NftRule().ArrivedByBridge().FromAnotherSide().Drop("other")];

    private static IEnumerable<NftRule> LeavingInside(EgressPlan plan) =>
        [new NftRule().LeavingByLoopback(), .. Bridges.Select(name => new NftRule().LeavingByBridge(name, plan.Uplinks))];

    // Where nothing is enforced: QUIC is refused, and what else passes is known.
    private static IEnumerable<NftRule> Exceptions(EgressPlan plan) =>
        [new NftRule().Udp().ToPort(443).Refuse("udp"), .. plan.IsServed ? PassedDestinations.Rules() : []];

    // What the kernel sends for a connection of the proxy's when the socket is closed is nobody's: the last data, FIN again, the last ACK, RST. A
    // socket of somebody else's may get the same addresses and ports while the connection is still known, and is not the proxy's.
    private static IEnumerable<NftRule> Endings(EgressPlan plan) =>
    [
        new NftRule().Tcp().Marked(Ours).OfAnotherUser(plan.ProxyUser).Refuse("other"),
        new NftRule().Tcp().Marked(Ours).Accept(),
    ];

    private static IEnumerable<NftRule> Refusals() =>
    [
        new NftRule().Udp().Refuse("udp"),
        new NftRule().Icmp(AddressFamily.InterNetwork).Refuse("icmp"),
        new NftRule().Icmp(AddressFamily.InterNetworkV6).Refuse("icmp"),
        new NftRule().Refuse("other"),
    ];

    // A socket that is bound to the uplink (SO_BINDTODEVICE) sends there even what is for this machine, and what was redirected to it.
    private static IEnumerable<NftRule> Sendings() =>
    [
        new NftRule().LeavingByLoopback().Accept(),
        new NftRule().ToThisMachine().Drop("other"),
    ];
}
