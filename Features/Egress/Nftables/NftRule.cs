using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Features.Egress.Nftables;

/// <summary>One rule: conditions that must all hold, then what happens. Reads like the line that <c>nft list ruleset</c> prints for it.</summary>
internal sealed class NftRule
{
    private const uint Register = 1;
    private const uint Equal = 0;
    private const uint Different = 1;
    private const uint NetworkHeader = 1;
    private const uint TransportHeader = 2;
    private const uint InterfaceByNumber = 1;
    private const uint InterfaceByName = 2;
    private const uint AddressType = 3;

    // LOOPBACK_IFINDEX, in every network; its name is not for ever.
    private const uint Loopback = 1;

    // NFTA_FIB_F_: what is looked up in the routes.
    private const uint BySource = 1;
    private const uint ByDestination = 2;
    private const uint ByArrival = 8;
    private const byte IPv4 = 2;
    private const byte IPv6 = 10;

    private readonly List<Action<NftWriter>> _expressions = [];
    private string? _comment;

    /// <summary>Writes NFTA_RULE_EXPRESSIONS, and the comment where there is one.</summary>
    public void Write(NftWriter w)
    {
        w.Nest(4, w =>
        {
            foreach (var expression in _expressions)
                w.Nest(1, expression);
        });
        if (_comment is not null)
            w.Bytes(7, [0, (byte)(_comment.Length + 1), .. Encoding.ASCII.GetBytes(_comment), 0]);
    }

    /// <summary>Packets of a socket of this user. Packets that belong to no socket, such as the kernel's own, are nobody's.</summary>
    public NftRule OfUser(uint uid) => Meta(10).Is(BitConverter.GetBytes(uid));

    /// <summary>Packets of a socket of somebody else. Those of nobody are not.</summary>
    public NftRule OfAnotherUser(uint uid) => Meta(10).IsNot(BitConverter.GetBytes(uid));

    /// <summary>Leaving by this interface; with a star at the end, by any whose name begins so.</summary>
    public NftRule LeavingBy(string name) => Meta(7).Is(InterfaceName(name));

    /// <summary>Having arrived by this interface; a star as above.</summary>
    public NftRule ArrivedBy(string name) => Meta(6).Is(InterfaceName(name));

    /// <summary>Leaving by the loopback interface.</summary>
    public NftRule LeavingByLoopback() => Meta(5).Is(BitConverter.GetBytes(Loopback));

    /// <summary>Having arrived by the loopback interface.</summary>
    public NftRule ArrivedByLoopback() => Meta(4).Is(BitConverter.GetBytes(Loopback));

    /// <summary>Leaving by an interface of this name, a star as above, that is a bridge (NFT_META_OIFKIND), and none of these by their numbers.</summary>
    public NftRule LeavingByBridge(string name, IEnumerable<uint> except) => LeavingBy(name).Meta(27).Is(InterfaceName("bridge")).IsNone(5, except);

    /// <summary>The same of the one that it arrived by.</summary>
    public NftRule ArrivedByBridge(string name, IEnumerable<uint> except) => ArrivedBy(name).ArrivedByBridge().IsNone(4, except);

    /// <summary>Having arrived by a bridge, whatever its name is (NFT_META_IIFKIND).</summary>
    public NftRule ArrivedByBridge() => Meta(26).Is(InterfaceName("bridge"));

    /// <summary>To what the routes lead by this interface, a star as above, and by none of these by their numbers. For packets that are not routed yet, of
    /// which the kernel does not tell what kind of interface that is.</summary>
    public NftRule RoutedBy(string name, IEnumerable<uint> except)
    {
        Fib(InterfaceByName).Is(InterfaceName(name));
        foreach (var index in except)
            Fib(InterfaceByNumber).IsNot(BitConverter.GetBytes(index));
        return this;
    }

    /// <summary>The same by the loopback interface.</summary>
    public NftRule RoutedByLoopback() => Fib(InterfaceByNumber).Is(BitConverter.GetBytes(Loopback));

    /// <summary>Of IPv4, or of IPv6.</summary>
    public NftRule OfFamily(AddressFamily family) => Meta(15).Is([family == AddressFamily.InterNetwork ? IPv4 : IPv6]);

    public NftRule Tcp() => Meta(16).Is([6]);

    public NftRule Udp() => Meta(16).Is([17]);

    /// <summary>The control messages of a family.</summary>
    public NftRule Icmp(AddressFamily family) => Meta(16).Is([family == AddressFamily.InterNetwork ? (byte)1 : (byte)58]);

    public NftRule IcmpV6(byte type) => Meta(16).Is([58]).Payload(TransportHeader, 0, 1).Is([type]);

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
        To(network).Add("rt", w =>
        {
            w.Number(1, Register);
            w.Number(2, isV4 ? 1u : 2u);
        });
        return Mask(network.PrefixLength, isV4 ? 4 : 16).IsNot(network.BaseAddress.GetAddressBytes());
    }

    /// <summary>To one of this machine's own addresses (RTN_LOCAL).</summary>
    public NftRule ToThisMachine() => Fib(AddressType).Is(BitConverter.GetBytes(2u));

    /// <summary>From an address that is none of this machine's own (RTN_LOCAL).</summary>
    public NftRule FromElsewhere() => Fib(AddressType, BySource).IsNot(BitConverter.GetBytes(2u));

    /// <summary>From an address to which no route leads by the interface that it arrived by (RFC 3704). For packets that are not routed yet.</summary>
    public NftRule FromAnotherSide() => Fib(InterfaceByNumber, BySource | ByArrival).Is(BitConverter.GetBytes(0u));

    /// <summary>To one address of another machine, whether a route leads there or not: none of our own, no broadcast, no group of neighbours
    /// (RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST).</summary>
    public NftRule ToElsewhere() => Fib(AddressType).IsNot(BitConverter.GetBytes(2u)).IsNot(BitConverter.GetBytes(3u)).IsNot(BitConverter.GetBytes(4u)).IsNot(BitConverter.GetBytes(5u));

    /// <summary>Answers within a connection that somebody else opened.</summary>
    public NftRule Answering() => Connection(1).Is([1]);

    /// <summary>In a connection whose destination was changed (IPS_DST_NAT).</summary>
    public NftRule Redirected() => Connection(2).And(0x20);

    /// <summary>In the direction of who opened the connection.</summary>
    public NftRule Asking() => Connection(1).Is([0]);

    /// <summary>In a connection that has this mark.</summary>
    public NftRule Marked(uint mark) => Connection(3).Is(BitConverter.GetBytes(mark));

    /// <summary>The first packet of a connection (NF_CT_STATE_BIT of IP_CT_NEW).</summary>
    public NftRule Beginning() => Connection(0).And(8);

    /// <summary>Adds destination and port to a set, whose keys they are. What comes behind it in the rule is for those that could be added.</summary>
    public NftRule RememberDestination(NftSet set, AddressFamily family)
    {
        // Registers of four bytes each, from the first on (NFT_REG32_00).
        const uint First = 8;
        var isV4 = family == AddressFamily.InterNetwork;
        Payload(NetworkHeader, isV4 ? 16u : 24u, isV4 ? 4u : 16u, First);
        Payload(TransportHeader, 2, 2, First + (isV4 ? 1u : 4u));
        return Add("dynset", w =>
        {
            w.Text(1, set.Name);
            w.Number(2, set.Id);
            w.Number(3, 0);
            w.Number(4, First);
        });
    }

    /// <summary>The connection has this mark from here on.</summary>
    public NftRule Mark(uint mark)
    {
        Add("immediate", w =>
        {
            w.Number(1, Register);
            w.Nest(2, w => w.Bytes(1, BitConverter.GetBytes(mark)));
        });
        return Add("ct", static w =>
        {
            w.Number(2, 3);
            w.Number(4, Register);
        });
    }

    public NftRule Count() => Add("counter", static _ => { });

    public NftRule Accept() => Verdict(1);

    /// <summary>Counted and dropped, where nothing can be refused any more.</summary>
    /// <param name="kind">As for <see cref="Refuse"/>.</param>
    public NftRule Drop(string kind)
    {
        _comment = RefusedPackets.Comment + kind;
        return Count().Drop();
    }

    /// <summary>Dropped, and nothing is told of it.</summary>
    public NftRule Drop() => Verdict(0);

    /// <summary>Refused at once with an ICMP message that says "administratively prohibited", so that programs do not wait.</summary>
    public NftRule Reject() => Add("reject", static w =>
    {
        w.Number(1, 2);
        w.Bytes(2, [3]);
    });

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
        return Tcp().Count().Add("reject", static w => w.Number(1, 1));
    }

    /// <summary>To the loopback address, at this port.</summary>
    public NftRule Redirect(ushort port)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, port);
        Add("immediate", w =>
        {
            w.Number(1, Register);
            w.Nest(2, w => w.Bytes(1, bytes));
        });
        return Add("redir", static w => w.Number(1, Register));
    }

    /// <summary>To this address, at this port.</summary>
    public NftRule Redirect(IPEndPoint to)
    {
        var port = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(port, (ushort)to.Port);
        const uint AddressRegister = 2;
        foreach (var (register, value) in new[] { (Register, port), (AddressRegister, to.Address.GetAddressBytes()) })
        {
            Add("immediate", w =>
            {
                w.Number(1, register);
                w.Nest(2, w => w.Bytes(1, value));
            });
        }

        return Add("nat", w =>
        {
            w.Number(1, 1);
            w.Number(2, to.AddressFamily == AddressFamily.InterNetwork ? IPv4 : IPv6);
            w.Number(3, AddressRegister);
            w.Number(5, Register);
        });
    }

    // IFNAMSIZ is 16: a whole name is compared with the zeros behind it, a beginning without.
    private static byte[] InterfaceName(string name)
    {
        if (name.EndsWith('*'))
            return Encoding.ASCII.GetBytes(name[..^1]);
        var bytes = new byte[16];
        Encoding.ASCII.GetBytes(name, bytes);
        return bytes;
    }

    private NftRule IsNone(uint key, IEnumerable<uint> numbers)
    {
        foreach (var number in numbers)
            Meta(key).IsNot(BitConverter.GetBytes(number));
        return this;
    }

    private NftRule Meta(uint key) => Add("meta", w =>
    {
        w.Number(2, key);
        w.Number(1, Register);
    });

    private NftRule Payload(uint from, uint offset, uint length, uint register = Register) => Add("payload", w =>
    {
        w.Number(1, register);
        w.Number(2, from);
        w.Number(3, offset);
        w.Number(4, length);
    });

    private NftRule Mask(int prefix, int size)
    {
        var mask = new byte[size];
        for (var bit = 0; bit < prefix; bit++)
            mask[bit / 8] |= (byte)(0x80 >> bit % 8);
        return Add("bitwise", w =>
        {
            w.Number(1, Register);
            w.Number(2, Register);
            w.Number(3, (uint)size);
            w.Nest(4, w => w.Bytes(1, mask));
            w.Nest(5, w => w.Bytes(1, new byte[size]));
        });
    }

    private NftRule Fib(uint result, uint lookup = ByDestination) => Add("fib", w =>
    {
        w.Number(1, Register);
        w.Number(2, result);
        w.Number(3, lookup);
    });

    private NftRule Port(uint offset, ushort port)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, port);
        return Payload(TransportHeader, offset, 2).Is(bytes);
    }

    private NftRule AddressAt(IPNetwork network, uint offsetV4, uint offsetV6)
    {
        var isV4 = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
        OfFamily(network.BaseAddress.AddressFamily);
        var size = isV4 ? 4u : 16u;
        Payload(NetworkHeader, isV4 ? offsetV4 : offsetV6, size);
        if (network.PrefixLength < size * 8)
            Mask(network.PrefixLength, (int)size);
        return Is(network.BaseAddress.GetAddressBytes());
    }

    private NftRule Connection(uint key) => Add("ct", w =>
    {
        w.Number(1, Register);
        w.Number(2, key);
    });

    // A number of the machine's own order that has this bit set.
    private NftRule And(uint bit)
    {
        Add("bitwise", w =>
        {
            w.Number(1, Register);
            w.Number(2, Register);
            w.Number(3, 4);
            w.Nest(4, w => w.Bytes(1, BitConverter.GetBytes(bit)));
            w.Nest(5, w => w.Bytes(1, new byte[4]));
        });
        return Is(BitConverter.GetBytes(bit));
    }

    private NftRule Is(byte[] value) => Compare(Equal, value);

    private NftRule IsNot(byte[] value) => Compare(Different, value);

    private NftRule Compare(uint how, byte[] value) => Add("cmp", w =>
    {
        w.Number(1, Register);
        w.Number(2, how);
        w.Nest(3, w => w.Bytes(1, value));
    });

    private NftRule Verdict(uint code) => Add("immediate", w =>
    {
        w.Number(1, 0);
        w.Nest(2, w => w.Nest(2, w => w.Number(1, code)));
    });

    private NftRule Add(string name, Action<NftWriter> data)
    {
        _expressions.Add(w =>
        {
            w.Text(1, name);
            w.Nest(2, data);
        });
        return this;
    }
}
