namespace Discobot.Features.Egress.Nftables;

/// <summary>
/// The kernel's expressions of one rule, in their order: one loads something into a register, another compares or changes what is there, or decides. A
/// rule ends at the first comparison that does not hold. The numbers are those of <c>linux/netfilter/nf_tables.h</c>.
/// </summary>
internal sealed class NftExpressions
{
    // NFTA_FIB_F_: what is looked up in the routes.
    public const uint BySource = 1;
    public const uint ByDestination = 2;
    public const uint ByArrival = 8;

    private const uint Register = 1;
    private const uint NetworkHeader = 1;
    private const uint TransportHeader = 2;

    // Registers of four bytes each, from the first on (NFT_REG32_00): the parts of a key side by side.
    private const uint FirstOfKey = 8;

    private readonly List<Action<NftWriter>> _expressions = [];

    /// <summary>Writes NFTA_RULE_EXPRESSIONS.</summary>
    public void Write(NftWriter w) => w.Nest(4, w =>
    {
        foreach (var expression in _expressions)
            w.Nest(1, expression);
    });

    /// <summary>Loads what the kernel knows of the packet beside its bytes (NFT_META_).</summary>
    public NftExpressions Meta(uint key) => Add("meta", w =>
    {
        w.Number(2, key);
        w.Number(1, Register);
    });

    /// <summary>Loads bytes of the header of IPv4 or IPv6.</summary>
    public NftExpressions Network(uint offset, uint length) => Payload(NetworkHeader, offset, length, Register);

    /// <summary>Loads bytes of the header of TCP, UDP or ICMP.</summary>
    public NftExpressions Transport(uint offset, uint length) => Payload(TransportHeader, offset, length, Register);

    /// <summary>Loads what the routes say (NFT_FIB_RESULT_).</summary>
    public NftExpressions Fib(uint result, uint lookup = ByDestination) => Add("fib", w =>
    {
        w.Number(1, Register);
        w.Number(2, result);
        w.Number(3, lookup);
    });

    /// <summary>Loads the address of the router that the packet goes by (NFT_RT_NEXTHOP4, NFT_RT_NEXTHOP6).</summary>
    public NftExpressions NextHop(bool isV4) => Add("rt", w =>
    {
        w.Number(1, Register);
        w.Number(2, isV4 ? 1u : 2u);
    });

    /// <summary>Loads what is known of the connection (NFT_CT_).</summary>
    public NftExpressions Connection(uint key) => Add("ct", w =>
    {
        w.Number(1, Register);
        w.Number(2, key);
    });

    /// <summary>Keeps as many bits of what was loaded.</summary>
    public NftExpressions Prefix(int bits, int size)
    {
        var mask = new byte[size];
        for (var bit = 0; bit < bits; bit++)
            mask[bit / 8] |= (byte)(0x80 >> bit % 8);
        return Mask(mask);
    }

    /// <summary>Whether a number of the machine's own order has this bit set.</summary>
    public NftExpressions HasBit(uint bit) => Mask(BitConverter.GetBytes(bit)).Is(BitConverter.GetBytes(bit));

    public NftExpressions Is(byte[] value) => Compare(0, value);

    public NftExpressions IsNot(byte[] value) => Compare(1, value);

    /// <summary>Whether it is none of these, of <see cref="Meta"/>.</summary>
    public NftExpressions IsNone(uint key, IEnumerable<uint> numbers)
    {
        foreach (var number in numbers)
            Meta(key).IsNot(BitConverter.GetBytes(number));
        return this;
    }

    /// <summary>Adds destination and port to a set, whose keys they are.</summary>
    public NftExpressions AddDestination(NftSet set, bool isV4)
    {
        Payload(NetworkHeader, isV4 ? 16u : 24u, isV4 ? 4u : 16u, FirstOfKey);
        Payload(TransportHeader, 2, 2, FirstOfKey + (isV4 ? 1u : 4u));
        return Add("dynset", w =>
        {
            w.Text(1, set.Name);
            w.Number(2, set.Id);
            w.Number(3, 0);
            w.Number(4, FirstOfKey);
        });
    }

    /// <summary>Gives the connection a mark.</summary>
    public NftExpressions Mark(uint mark) => Immediate(Register, BitConverter.GetBytes(mark)).Add("ct", static w =>
    {
        w.Number(2, 3);
        w.Number(4, Register);
    });

    public NftExpressions Count() => Add("counter", static _ => { });

    public NftExpressions Verdict(uint code) => Add("immediate", w =>
    {
        w.Number(1, 0);
        w.Nest(2, w => w.Nest(2, w => w.Number(1, code)));
    });

    /// <summary>Refuses with an ICMP message (NFT_REJECT_ICMPX_ADMIN_PROHIBITED).</summary>
    public NftExpressions Reject() => Add("reject", static w =>
    {
        w.Number(1, 2);
        w.Bytes(2, [3]);
    });

    /// <summary>Refuses with RST.</summary>
    public NftExpressions Reset() => Add("reject", static w => w.Number(1, 1));

    /// <summary>To the loopback address.</summary>
    /// <param name="port">In the order of the network.</param>
    public NftExpressions Redirect(byte[] port) => Immediate(Register, port).Add("redir", static w => w.Number(1, Register));

    /// <summary>To another address.</summary>
    /// <param name="family">NFPROTO_.</param>
    /// <param name="address">As in a header.</param>
    /// <param name="port">In the order of the network.</param>
    public NftExpressions Redirect(byte family, byte[] address, byte[] port)
    {
        const uint AddressRegister = 2;
        return Immediate(Register, port).Immediate(AddressRegister, address).Add("nat", w =>
        {
            w.Number(1, 1);
            w.Number(2, family);
            w.Number(3, AddressRegister);
            w.Number(5, Register);
        });
    }

    private NftExpressions Payload(uint from, uint offset, uint length, uint register) => Add("payload", w =>
    {
        w.Number(1, register);
        w.Number(2, from);
        w.Number(3, offset);
        w.Number(4, length);
    });

    private NftExpressions Mask(byte[] mask) => Add("bitwise", w =>
    {
        w.Number(1, Register);
        w.Number(2, Register);
        w.Number(3, (uint)mask.Length);
        w.Nest(4, w => w.Bytes(1, mask));
        w.Nest(5, w => w.Bytes(1, new byte[mask.Length]));
    });

    private NftExpressions Compare(uint how, byte[] value) => Add("cmp", w =>
    {
        w.Number(1, Register);
        w.Number(2, how);
        w.Nest(3, w => w.Bytes(1, value));
    });

    private NftExpressions Immediate(uint register, byte[] value) => Add("immediate", w =>
    {
        w.Number(1, register);
        w.Nest(2, w => w.Bytes(1, value));
    });

    private NftExpressions Add(string name, Action<NftWriter> data)
    {
        _expressions.Add(w =>
        {
            w.Text(1, name);
            w.Nest(2, data);
        });
        return this;
    }
}
