using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>A table of family inet that belongs to this connection: nobody else can flush it, not even root, and it is gone when this is.</summary>
internal sealed class NftTable(string name) : IDisposable
{
    // linux/netfilter.h: NF_INET_ hooks.
    public const uint Arriving = 0;
    public const uint Input = 1;
    public const uint Forward = 2;
    public const uint Output = 3;
    public const uint Sending = 4;

    private const ushort NewTable = 0;
    private const ushort DeleteTable = 2;
    private const ushort NewChain = 3;
    private const ushort NewRule = 6;
    private const ushort NewSet = 9;
    private const ushort Create = 0x400;
    private const ushort Append = 0x800;
    private const uint OwnedTable = 2;

    private readonly NetlinkSocket _socket = new(NetlinkSocket.Netfilter);

    /// <summary>Replaces the table and all in it, in one transaction.</summary>
    /// <param name="chains">With their rules.</param>
    /// <param name="sets">Those that the rules add to.</param>
    /// <exception cref="LibcException">EPERM without CAP_NET_ADMIN in this network namespace; nothing was changed.</exception>
    public void Replace(IEnumerable<NftChain> chains, IReadOnlyList<NftSet>? sets = null)
    {
        var w = new NftWriter();
        // Made first so that deleting it succeeds whether there was one or not.
        foreach (var (type, flags) in new[] { (NewTable, Create), (DeleteTable, (ushort)0), (NewTable, Create) })
        {
            w.Message(type, flags, w =>
            {
                w.Text(1, name);
                if (type == NewTable)
                    w.Number(2, OwnedTable);
            });
        }

        foreach (var set in sets ?? [])
        {
            w.Message(NewSet, Create, w =>
            {
                w.Text(1, name);
                set.Write(w);
            });
        }

        foreach (var chain in chains)
            Add(w, chain);
        var batch = w.ToBatch();
        if (_socket.Send(batch, w.Answered) is { } failure)
            throw new LibcException("nftables", $"table inet {name}", failure.Error);
    }

    /// <summary>Takes the table away.</summary>
    public void Dispose() => _socket.Dispose();

    private void Add(NftWriter w, NftChain chain)
    {
        w.Message(NewChain, Create, w =>
        {
            w.Text(1, name);
            w.Text(3, chain.Name);
            w.Nest(4, w =>
            {
                w.Number(1, chain.Hook);
                w.Number(2, (uint)chain.Priority);
            });
            w.Number(5, 1);
            w.Text(7, chain.Type);
        });
        foreach (var rule in chain.Rules)
        {
            w.Message(NewRule, Create | Append, w =>
            {
                w.Text(1, name);
                w.Text(2, chain.Name);
                rule.Write(w);
            });
        }
    }
}

/// <param name="Name">Within its table.</param>
/// <param name="Type"><c>filter</c> or <c>nat</c>.</param>
/// <param name="Hook">One of <see cref="NftTable"/>'s.</param>
/// <param name="Priority">The lower, the earlier.</param>
/// <param name="Rules">The first that fits decides; what fits none is accepted.</param>
internal sealed record NftChain(string Name, string Type, uint Hook, int Priority, IEnumerable<NftRule> Rules);
