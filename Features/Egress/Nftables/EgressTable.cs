using System.Net;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>
/// The table <c>inet discobot</c>: one way out of this network namespace, with the proxy in it. It is set in one transaction, belongs to the
/// connection that set it (so that nobody else can flush it, not even root), and is gone when that connection is: other tables, such as Docker's,
/// are neither read nor changed.
/// </summary>
internal sealed class EgressTable : IEgressTable
{
    private const string Name = "discobot";
    private const ushort NewTable = 0;
    private const ushort DeleteTable = 2;
    private const ushort NewChain = 3;
    private const ushort NewRule = 6;
    private const ushort Create = 0x400;
    private const ushort Append = 0x800;
    private const uint OwnedTable = 2;

    private const uint Root = 0;

    // linux/netfilter.h: NF_INET_ hooks.
    private const uint Arriving = 0;
    private const uint Input = 1;
    private const uint Forward = 2;
    private const uint Output = 3;

    // Before Docker's own translation (-100), which would otherwise send questions for 127.0.0.11 to Docker's resolver first.
    private const int BeforeDocker = -101;

    /// <summary>The inner Docker's own networks; traffic between containers is no way out. The agent cannot give an interface such a name: that takes
    /// NET_ADMIN.</summary>
    private static readonly string[] Bridges = ["docker0", "br-*"];

    private static readonly string[] Inside = ["lo", .. Bridges];

    // Docker's resolver forwards what it is asked to the world outside. Questions for port 53 are redirected before; it listens at others too.
    private static readonly IPNetwork DockersResolver = IPNetwork.Parse("127.0.0.11/32");

    private static readonly ushort[] WebPorts = [80, 443];

    private static readonly IPNetwork[] Loopback = [IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128")];

    // RFC 4861: without router and neighbour discovery there is no IPv6 at all.
    private static readonly byte[] Discovery = [133, 135, 136];

    private readonly NetlinkSocket _socket = new(NetlinkSocket.Netfilter);

    /// <inheritdoc/>
    public void Set(EgressPlan plan)
    {
        var w = new NftWriter();
        // Made first so that deleting it succeeds whether there was one or not.
        foreach (var (type, flags) in new[] { (NewTable, Create), (DeleteTable, (ushort)0), (NewTable, Create) })
        {
            w.Message(type, flags, w =>
            {
                w.Text(1, Name);
                if (type == NewTable)
                    w.Number(2, OwnedTable);
            });
        }

        if (plan.Mode != EgressMode.Open)
        {
            if (plan.IsServed)
            {
                AddChain(w, "redirect", "nat", Output, BeforeDocker, Redirections(plan));
                if (plan.LeadsContainers)
                    AddChain(w, "nested", "nat", Arriving, BeforeDocker, OfContainers(plan));
            }

            AddChain(w, "leave", "filter", Output, 0, Departures(plan));
            if (plan.LeadsContainers)
                AddChain(w, "pass", "filter", Forward, 0, Passages(plan));
            AddChain(w, "enter", "filter", Input, 0, Arrivals(plan));
        }

        var batch = w.ToBatch();
        if (_socket.Send(batch, w.Answered) is { } failure)
            throw new LibcException("nftables", $"table inet {Name}", failure.Error);
    }

    /// <summary>Takes the table away.</summary>
    public void Dispose() => _socket.Dispose();

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
        foreach (var name in Inside)
            yield return new NftRule().LeavingBy(name).Accept();
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
        foreach (var name in Inside)
            yield return new NftRule().RoutedBy(name).Accept();
        foreach (var bridge in Bridges)
        {
            // One address for all bridges, that is none of theirs.
            foreach (var address in EgressFeature.Nested)
            {
                NftRule Of() => new NftRule().ArrivedBy(bridge).OfFamily(address.AddressFamily);
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
        foreach (var name in Inside)
            yield return new NftRule().LeavingBy(name).Accept();
        if (plan.Mode == EgressMode.Redirect)
        {
            yield return new NftRule().Udp().ToPort(443).Count().Reject();
            yield break;
        }

        yield return new NftRule().Answering().Accept();
        yield return new NftRule().Count().Reject();
    }

    // The entry and the resolver are for this container alone: what comes from elsewhere in the world was not redirected here.
    private static IEnumerable<NftRule> Arrivals(EgressPlan plan)
    {
        yield return new NftRule().ArrivedBy("lo").Accept();
        yield return new NftRule().Redirected().Accept();
        yield return new NftRule().Tcp().ToPort(plan.EntryPort).Reject();
        yield return new NftRule().Tcp().ToPort(plan.DnsPort).Reject();
        yield return new NftRule().Udp().ToPort(plan.DnsPort).Reject();
    }

    private static IEnumerable<NftRule> Departures(EgressPlan plan)
    {
        yield return new NftRule().OfUser(plan.ProxyUser).Accept();
        if (!plan.IsServed)
            yield return new NftRule().OfUser(Root).Accept();
        foreach (var rule in DockersQuestions(plan))
            yield return rule.Accept();
        if (plan.Mode == EgressMode.Enforce)
            yield return new NftRule().To(DockersResolver).Count().Reject();
        foreach (var name in Inside)
            yield return new NftRule().LeavingBy(name).Accept();
        // A redirected packet is still said to leave by the uplink here; its destination is what has changed.
        foreach (var network in Loopback)
            yield return new NftRule().To(network).Accept();
        yield return new NftRule().ToThisMachine().Accept();
        if (plan.Mode == EgressMode.Redirect)
        {
            yield return new NftRule().Udp().ToPort(443).Count().Reject();
            yield break;
        }

        yield return new NftRule().Answering().Accept();
        foreach (var type in Discovery)
            yield return new NftRule().IcmpV6(type).Accept();
        yield return new NftRule().Count().Reject();
    }

    private static void AddChain(NftWriter w, string name, string type, uint hook, int priority, IEnumerable<NftRule> rules)
    {
        w.Message(NewChain, Create, w =>
        {
            w.Text(1, Name);
            w.Text(3, name);
            w.Nest(4, w =>
            {
                w.Number(1, hook);
                w.Number(2, (uint)priority);
            });
            w.Number(5, 1);
            w.Text(7, type);
        });
        foreach (var rule in rules)
        {
            w.Message(NewRule, Create | Append, w =>
            {
                w.Text(1, Name);
                w.Text(2, name);
                w.Nest(4, rule.Write);
            });
        }
    }
}
