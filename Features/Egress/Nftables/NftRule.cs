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
    private const uint NetworkHeader = 1;
    private const uint TransportHeader = 2;
    private const uint InterfaceByName = 2;
    private const uint AddressType = 3;
    private const byte IPv4 = 2;
    private const byte IPv6 = 10;

    private readonly List<Action<NftWriter>> _expressions = [];

    /// <summary>Writes the list of expressions of NFTA_RULE_EXPRESSIONS.</summary>
    public void Write(NftWriter w)
    {
        foreach (var expression in _expressions)
            w.Nest(1, expression);
    }

    /// <summary>Packets of a socket of this user. Packets that belong to no socket, such as the kernel's own, are nobody's.</summary>
    public NftRule OfUser(uint uid) => Meta(10).Is(BitConverter.GetBytes(uid));

    /// <summary>Leaving by this interface; with a star at the end, by any whose name begins so.</summary>
    public NftRule LeavingBy(string name) => Meta(7).Is(InterfaceName(name));

    /// <summary>Having arrived by this interface; a star as above.</summary>
    public NftRule ArrivedBy(string name) => Meta(6).Is(InterfaceName(name));

    /// <summary>To what the routes lead by this interface, a star as above. For packets that are not routed yet.</summary>
    public NftRule RoutedBy(string name) => Fib(InterfaceByName).Is(InterfaceName(name));

    /// <summary>Of IPv4, or of IPv6.</summary>
    public NftRule OfFamily(AddressFamily family) => Meta(15).Is([family == AddressFamily.InterNetwork ? IPv4 : IPv6]);

    public NftRule Tcp() => Meta(16).Is([6]);

    public NftRule Udp() => Meta(16).Is([17]);

    public NftRule IcmpV6(byte type) => Meta(16).Is([58]).Payload(TransportHeader, 0, 1).Is([type]);

    public NftRule ToPort(ushort port)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, port);
        return Payload(TransportHeader, 2, 2).Is(bytes);
    }

    /// <summary>To an address of the network.</summary>
    public NftRule To(IPNetwork network)
    {
        var isV4 = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
        OfFamily(network.BaseAddress.AddressFamily);
        var size = isV4 ? 4u : 16u;
        Payload(NetworkHeader, isV4 ? 16u : 24u, size);
        if (network.PrefixLength < size * 8)
            Mask(network.PrefixLength, (int)size);
        return Is(network.BaseAddress.GetAddressBytes());
    }

    /// <summary>To one of this machine's own addresses (RTN_LOCAL).</summary>
    public NftRule ToThisMachine() => Fib(AddressType).Is(BitConverter.GetBytes(2u));

    /// <summary>Answers within a connection that somebody else opened.</summary>
    public NftRule Answering() => Connection(1).Is([1]);

    /// <summary>In a connection whose destination was changed (IPS_DST_NAT).</summary>
    public NftRule Redirected() => Connection(2).And(0x20);

    public NftRule Count() => Add("counter", static _ => { });

    public NftRule Accept() => Add("immediate", static w =>
    {
        w.Number(1, 0);
        w.Nest(2, static w => w.Nest(2, static w => w.Number(1, 1)));
    });

    /// <summary>Refused at once with an ICMP message that says "administratively prohibited", so that programs do not wait.</summary>
    public NftRule Reject() => Add("reject", static w =>
    {
        w.Number(1, 2);
        w.Bytes(2, [3]);
    });

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

    private NftRule Meta(uint key) => Add("meta", w =>
    {
        w.Number(2, key);
        w.Number(1, Register);
    });

    private NftRule Payload(uint from, uint offset, uint length) => Add("payload", w =>
    {
        w.Number(1, Register);
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

    // By destination address alone; the flags are NFTA_FIB_F_.
    private NftRule Fib(uint result) => Add("fib", w =>
    {
        w.Number(1, Register);
        w.Number(2, result);
        w.Number(3, 2);
    });

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

    private NftRule Is(byte[] value) => Add("cmp", w =>
    {
        w.Number(1, Register);
        w.Number(2, Equal);
        w.Nest(3, w => w.Bytes(1, value));
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
