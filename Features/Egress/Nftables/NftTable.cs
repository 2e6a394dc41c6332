using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>A table of family inet that belongs to this connection: nobody else can flush it, not even root, and it is gone when this is disposed. When the
/// process ends before that it is gone, too, unless it is to outlive it; then it is nobody's, and whoever sets one of that name takes it over.</summary>
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

    // Since Linux 6.9.
    private const uint PersistentTable = 4;
    private const int NotSupported = 95;

    private readonly NetlinkSocket _socket = new(NetlinkSocket.Netfilter);

    // Of the table as it was set last.
    private uint? _flags;

    /// <summary>Replaces the table and all in it, in one transaction.</summary>
    /// <param name="chains">With their rules.</param>
    /// <param name="sets">Those that the rules add to.</param>
    /// <param name="outlives">Whether it stays when this process ends without disposing it, where the kernel can do that.</param>
    /// <exception cref="LibcException">EPERM without CAP_NET_ADMIN in this network namespace; nothing was changed.</exception>
    public void Replace(IEnumerable<NftChain> chains, IReadOnlyList<NftSet>? sets = null, bool outlives = false)
    {
        var all = chains.Select(chain => chain with { Rules = [.. chain.Rules] }).ToList();
        var error = outlives ? TryReplace(all, sets, OwnedTable | PersistentTable) : NotSupported;
        if (error is NotSupported or LibcException.Invalid)
            error = TryReplace(all, sets, OwnedTable);
        if (error != 0)
            throw new LibcException("nftables", $"table inet {name}", error);
    }

    private int TryReplace(List<NftChain> chains, IReadOnlyList<NftSet>? sets, uint flags)
    {
        var w = new NftWriter();
        // Made first so that deleting it succeeds whether there was one or not; the flags of one that is there are not changed by that.
        foreach (var (type, create, given) in new[] { (NewTable, Create, _flags ?? flags), (DeleteTable, (ushort)0, 0u), (NewTable, Create, flags) })
        {
            w.Message(type, create, w =>
            {
                w.Text(1, name);
                if (type == NewTable)
                    w.Number(2, given);
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
            return failure.Error;
        _flags = flags;
        return 0;
    }

    /// <summary>Ends as if this process were killed.</summary>
    public void Leave() => _socket.Dispose();

    /// <summary>Takes the table away.</summary>
    public void Dispose()
    {
        // One that is gone already is no error.
        if (_flags is { } flags && (flags & PersistentTable) != 0)
        {
            var w = new NftWriter();
            w.Message(DeleteTable, 0, w => w.Text(1, name));
            var batch = w.ToBatch();
            _socket.Send(batch, w.Answered);
        }

        _socket.Dispose();
    }

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
