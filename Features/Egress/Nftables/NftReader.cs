using System.Buffers.Binary;
using System.Text;

namespace Discobot.Features.Egress.Nftables;

/// <summary>Reads nf_tables messages (linux/netfilter/nf_tables.h), as the kernel sends them.</summary>
internal static class NftReader
{
    /// <summary>A message's attributes, which stand behind the four bytes of <c>struct nfgenmsg</c>.</summary>
    public static IEnumerable<(int Type, ReadOnlyMemory<byte> Value)> OfMessage(ReadOnlyMemory<byte> payload)
        => payload.Length < 4 ? [] : Of(payload[4..]);

    /// <summary>The attributes of a nest. What is torn ends them.</summary>
    public static IEnumerable<(int Type, ReadOnlyMemory<byte> Value)> Of(ReadOnlyMemory<byte> nest) => NetlinkSocket.Attributes(nest);

    /// <summary>A text with its zero.</summary>
    public static string Text(ReadOnlyMemory<byte> value) => Encoding.UTF8.GetString(value.Span).TrimEnd('\0');

    /// <summary>A number of eight bytes.</summary>
    public static long Number(ReadOnlyMemory<byte> value) => value.Length == 8 ? BinaryPrimitives.ReadInt64BigEndian(value.Span) : 0;
}
