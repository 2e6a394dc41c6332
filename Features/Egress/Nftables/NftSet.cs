namespace Discobot.Features.Egress.Nftables;

/// <summary>A set of a table to which packets add, and in which what was not seen for an hour is forgotten.</summary>
/// <param name="Name">Within its table.</param>
/// <param name="Id">By which the rules of the same transaction know it.</param>
/// <param name="KeyType">What <c>nft list</c> takes its keys for.</param>
/// <param name="KeySize">Bytes of a key.</param>
internal sealed record NftSet(string Name, uint Id, uint KeyType, uint KeySize)
{
    // NFT_SET_TIMEOUT and NFT_SET_EVAL.
    private const uint Flags = 0x10 | 0x20;
    private const uint Limit = 2048;
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    /// <summary>Writes the attributes behind the table's name.</summary>
    public void Write(NftWriter w)
    {
        w.Text(2, Name);
        w.Number(3, Flags);
        w.Number(4, KeyType);
        w.Number(5, KeySize);
        w.Nest(9, w => w.Number(1, Limit));
        w.Number(10, Id);
        Span<byte> milliseconds = stackalloc byte[8];
        System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(milliseconds, (long)Lifetime.TotalMilliseconds);
        w.Bytes(11, milliseconds);
    }
}
