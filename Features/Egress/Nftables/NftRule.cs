using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Features.Egress.Nftables;

/// <summary>One rule: conditions that must all hold, then what happens. Reads like the line that <c>nft list ruleset</c> prints for it.</summary>
internal sealed class NftRule
{
    private const uint InterfaceByNumber = 1;
    private const uint InterfaceByName = 2;
    private const uint AddressType = 3;

    // LOOPBACK_IFINDEX, in every network; its name is not for ever.
    private const uint Loopback = 1;

    private const byte IPv4 = 2;
    private const byte IPv6 = 10;

    private readonly NftExpressions _expressions = new();
    private string? _comment;

    /// <summary>Writes NFTA_RULE_EXPRESSIONS, and the comment where there is one.</summary>
    public void Write(NftWriter w)
    {
        _expressions.Write(w);
        if (_comment is not null)
            w.Bytes(7, [0, (byte)(_comment.Length + 1), .. Encoding.ASCII.GetBytes(_comment), 0]);
    }

    /// <summary>Packets of a socket of this user. Packets that belong to no socket, such as the kernel's own, are nobody's.</summary>
    public NftRule OfUser(uint uid) => With(_expressions.Meta(10).Is(BitConverter.GetBytes(uid)));

    /// <summary>Packets of a socket of somebody else. Those of nobody are not.</summary>
    public NftRule OfAnotherUser(uint uid) => With(_expressions.Meta(10).IsNot(BitConverter.GetBytes(uid)));

    /// <summary>Leaving by this interface; with a star at the end, by any whose name begins so.</summary>
    public NftRule LeavingBy(string name) => With(_expressions.Meta(7).Is(InterfaceName(name)));

    /// <summary>Having arrived by this interface; a star as above.</summary>
    public NftRule ArrivedBy(string name) => With(_expressions.Meta(6).Is(InterfaceName(name)));

    /// <summary>Leaving by the loopback interface.</summary>
    public NftRule LeavingByLoopback() => With(_expressions.Meta(5).Is(BitConverter.GetBytes(Loopback)));

    /// <summary>Having arrived by the loopback interface.</summary>
    public NftRule ArrivedByLoopback() => With(_expressions.Meta(4).Is(BitConverter.GetBytes(Loopback)));

    /// <summary>Leaving by an interface of this name, a star as above, that is a bridge (NFT_META_OIFKIND), and none of these by their numbers.</summary>
    public NftRule LeavingByBridge(string name, IEnumerable<uint> except) => LeavingBy(name).With(_expressions.Meta(27).Is(InterfaceName("bridge")).IsNone(5, except));

    /// <summary>The same of the one that it arrived by.</summary>
    public NftRule ArrivedByBridge(string name, IEnumerable<uint> except) => ArrivedBy(name).ArrivedByBridge().With(_expressions.IsNone(4, except));

    /// <summary>Having arrived by a bridge, whatever its name is (NFT_META_IIFKIND).</summary>
    public NftRule ArrivedByBridge() => With(_expressions.Meta(26).Is(InterfaceName("bridge")));

    /// <summary>To what the routes lead by this interface, a star as above, and by none of these by their numbers. For packets that are not routed yet, of
    /// which the kernel does not tell what kind of interface that is.</summary>
    public NftRule RoutedBy(string name, IEnumerable<uint> except)
    {
        _expressions.Fib(InterfaceByName).Is(InterfaceName(name));
        foreach (var index in except)
            _expressions.Fib(InterfaceByNumber).IsNot(BitConverter.GetBytes(index));
        return this;
    }

    /// <summary>The same by the loopback interface.</summary>
    public NftRule RoutedByLoopback() => With(_expressions.Fib(InterfaceByNumber).Is(BitConverter.GetBytes(Loopback)));

    /// <summary>Of IPv4, or of IPv6.</summary>
    public NftRule OfFamily(AddressFamily family) => With(_expressions.Meta(15).Is([family == AddressFamily.InterNetwork ? IPv4 : IPv6]));

    public NftRule Tcp() => With(_expressions.Meta(16).Is([6]));

    public NftRule Udp() => With(_expressions.Meta(16).Is([17]));

    /// <summary>The control messages of a family.</summary>
    public NftRule Icmp(AddressFamily family) => With(_expressions.Meta(16).Is([family == AddressFamily.InterNetwork ? (byte)1 : (byte)58]));

    public NftRule IcmpV6(byte type) => With(_expressions.Meta(16).Is([58]).Transport(0, 1).Is([type]));

    public NftRule ToPort(ushort port) => Port(2, port);

    public NftRule FromPort(ushort port) => Port(0, port);

    /// <summary>To an address of the network.</summary>
    public NftRule To(IPNetwork network) => AddressAt(network, 16, 24);

    /// <summary>From an address of the network.</summary>
    public NftRule From(IPNetwork network) => AddressAt(network, 12, 8);

    /// <summary>To an address of the network, but on its way by a router that is outside of it. For packets that are routed.</summary>
    public NftRule ToThroughElsewhere(IPNetwork network)
    {
        var isV4 = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
        return To(network).With(_expressions.NextHop(isV4).Prefix(network.PrefixLength, isV4 ? 4 : 16).IsNot(network.BaseAddress.GetAddressBytes()));
    }

    /// <summary>To one of this machine's own addresses (RTN_LOCAL).</summary>
    public NftRule ToThisMachine() => With(_expressions.Fib(AddressType).Is(BitConverter.GetBytes(2u)));

    /// <summary>From an address that is none of this machine's own (RTN_LOCAL).</summary>
    public NftRule FromElsewhere() => With(_expressions.Fib(AddressType, NftExpressions.BySource).IsNot(BitConverter.GetBytes(2u)));

    /// <summary>From an address to which no route leads by the interface that it arrived by (RFC 3704). For packets that are not routed yet.</summary>
    public NftRule FromAnotherSide() => With(_expressions.Fib(InterfaceByNumber, NftExpressions.BySource | NftExpressions.ByArrival).Is(BitConverter.GetBytes(0u)));

    /// <summary>To one address of another machine, whether a route leads there or not: none of our own, no broadcast, no group of neighbours
    /// (RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST).</summary>
    public NftRule ToElsewhere() => With(_expressions.Fib(AddressType).IsNot(BitConverter.GetBytes(2u)).IsNot(BitConverter.GetBytes(3u)).IsNot(BitConverter.GetBytes(4u)).IsNot(BitConverter.GetBytes(5u)));

    /// <summary>Answers within a connection that somebody else opened.</summary>
    public NftRule Answering() => With(_expressions.Connection(1).Is([1]));

    /// <summary>In a connection whose destination was changed (IPS_DST_NAT).</summary>
    public NftRule Redirected() => With(_expressions.Connection(2).HasBit(0x20));

    /// <summary>In the direction of who opened the connection.</summary>
    public NftRule Asking() => With(_expressions.Connection(1).Is([0]));

    /// <summary>In a connection that has this mark.</summary>
    public NftRule Marked(uint mark) => With(_expressions.Connection(3).Is(BitConverter.GetBytes(mark)));

    /// <summary>The first packet of a connection (NF_CT_STATE_BIT of IP_CT_NEW).</summary>
    public NftRule Beginning() => With(_expressions.Connection(0).HasBit(8));

    /// <summary>Adds destination and port to a set, whose keys they are. What comes behind it in the rule is for those that could be added.</summary>
    public NftRule RememberDestination(NftSet set, AddressFamily family) => With(_expressions.AddDestination(set, family == AddressFamily.InterNetwork));

    /// <summary>The connection has this mark from here on.</summary>
    public NftRule Mark(uint mark) => With(_expressions.Mark(mark));

    public NftRule Count() => With(_expressions.Count());

    public NftRule Accept() => With(_expressions.Verdict(1));

    /// <summary>Counted and dropped, where nothing can be refused any more.</summary>
    /// <param name="kind">As for <see cref="Refuse"/>.</param>
    public NftRule Drop(string kind)
    {
        _comment = RefusedPackets.Comment + kind;
        return Count().Drop();
    }

    /// <summary>Dropped, and nothing is told of it.</summary>
    public NftRule Drop() => With(_expressions.Verdict(0));

    /// <summary>Refused at once with an ICMP message that says "administratively prohibited", so that programs do not wait.</summary>
    public NftRule Reject() => With(_expressions.Reject());

    /// <summary>Counted and refused.</summary>
    /// <param name="kind">What it is counted as (<see cref="RefusedPackets"/>).</param>
    public NftRule Refuse(string kind)
    {
        _comment = RefusedPackets.Comment + kind;
        return Count().Reject();
    }

    /// <summary>TCP, counted and refused with RST: who is about to connect hears of an ICMP message only when it has tried again, after a second.</summary>
    /// <param name="kind">As for <see cref="Refuse"/>.</param>
    public NftRule Reset(string kind)
    {
        _comment = RefusedPackets.Comment + kind;
        return Tcp().Count().With(_expressions.Reset());
    }

    /// <summary>To the loopback address, at this port.</summary>
    public NftRule Redirect(ushort port) => With(_expressions.Redirect(NetworkOrder(port)));

    /// <summary>To this address, at this port.</summary>
    public NftRule Redirect(IPEndPoint to)
        => With(_expressions.Redirect(to.AddressFamily == AddressFamily.InterNetwork ? IPv4 : IPv6, to.Address.GetAddressBytes(), NetworkOrder((ushort)to.Port)));

    // IFNAMSIZ is 16: a whole name is compared with the zeros behind it, a beginning without.
    private static byte[] InterfaceName(string name)
    {
        if (name.EndsWith('*'))
            return Encoding.ASCII.GetBytes(name[..^1]);
        var bytes = new byte[16];
        Encoding.ASCII.GetBytes(name, bytes);
        return bytes;
    }

    private static byte[] NetworkOrder(ushort port)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, port);
        return bytes;
    }

    private NftRule Port(uint offset, ushort port) => With(_expressions.Transport(offset, 2).Is(NetworkOrder(port)));

    private NftRule AddressAt(IPNetwork network, uint offsetV4, uint offsetV6)
    {
        var isV4 = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
        OfFamily(network.BaseAddress.AddressFamily);
        var size = isV4 ? 4u : 16u;
        _expressions.Network(isV4 ? offsetV4 : offsetV6, size);
        if (network.PrefixLength < size * 8)
            _expressions.Prefix(network.PrefixLength, (int)size);
        return With(_expressions.Is(network.BaseAddress.GetAddressBytes()));
    }

    // The expressions are this rule's own, and are in it already.
    private NftRule With(NftExpressions _) => this;
}
