using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>What the rules of a table have refused: the sums of their counters, by the kind that stands in each rule's comment.</summary>
internal static class RefusedPackets
{
    /// <summary>How the comment of such a rule begins.</summary>
    public const string Comment = "refused ";

    private const ushort GetRule = 10 << 8 | 7;
    private const byte Inet = 1;

    /// <summary>Asks the kernel; empty where there is no such table.</summary>
    /// <param name="table">Of family inet.</param>
    /// <exception cref="LibcException">It does not answer.</exception>
    public static Dictionary<string, long> Read(string table)
    {
        using var socket = new NetlinkSocket(NetlinkSocket.Netfilter);
        var name = Encoding.ASCII.GetBytes(table + '\0');
        byte[] body = [Inet, 0, 0, 0, .. BitConverter.GetBytes((ushort)(4 + name.Length)), 1, 0, .. name, .. new byte[-name.Length & 3]];
        var sums = new Dictionary<string, long>();
        foreach (var rule in socket.List(GetRule, body))
        {
            var (kind, packets) = (default(string), 0L);
            foreach (var (type, value) in NftReader.OfMessage(rule))
            {
                if (type == 4)
                    packets = NftReader.Of(value).Sum(e => Counted(e.Value));
                else if (type == 7 && value.Length > 2 && NftReader.Text(value[2..]) is var comment && comment.StartsWith(Comment, StringComparison.Ordinal))
                    kind = comment[Comment.Length..];
            }

            if (kind is not null)
                sums[kind] = sums.GetValueOrDefault(kind) + packets;
        }

        return sums;
    }

    // NFTA_EXPR_NAME and NFTA_EXPR_DATA; of a counter, NFTA_COUNTER_PACKETS.
    private static long Counted(ReadOnlyMemory<byte> expression)
    {
        var parts = NftReader.Of(expression).ToList();
        return parts.Any(p => p.Type == 1 && NftReader.Text(p.Value) == "counter")
            ? parts.Where(p => p.Type == 2).SelectMany(p => NftReader.Of(p.Value)).Where(a => a.Type == 2).Sum(a => NftReader.Number(a.Value)) : 0;
    }
}
