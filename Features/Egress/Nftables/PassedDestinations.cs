using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>Where TCP goes that is let past the proxy: the kernel writes each destination down in a set of the table.</summary>
internal static class PassedDestinations
{
    /// <summary>More are not told of: whoever scans a network is known for it by then.</summary>
    public const int MaxTold = 1000;

    private const ushort GetElements = 10 << 8 | 13;
    private const byte Inet = 1;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    // The types are those of nft's own list, which shows them by it: an address, and a port in the six bits below.
    private static readonly NftSet OfV4 = new("passed4", Id: 1, KeyType: 7 << 6 | 13, KeySize: 8);
    private static readonly NftSet OfV6 = new("passed6", Id: 2, KeyType: 8 << 6 | 13, KeySize: 20);

    public static IReadOnlyList<NftSet> Sets => [OfV4, OfV6];

    /// <summary>Writes down where a packet goes that begins a connection, and decides nothing.</summary>
    public static IEnumerable<NftRule> Rules() =>
    [
        new NftRule().OfFamily(AddressFamily.InterNetwork).Tcp().Beginning().RememberDestination(OfV4, AddressFamily.InterNetwork),
        new NftRule().OfFamily(AddressFamily.InterNetworkV6).Tcp().Beginning().RememberDestination(OfV6, AddressFamily.InterNetworkV6),
    ];

    /// <summary>Asks the kernel; none where there is no such table.</summary>
    /// <param name="table">Of family inet.</param>
    /// <exception cref="LibcException">It does not answer.</exception>
    public static IReadOnlyList<IPEndPoint> Read(string table)
    {
        using var socket = new NetlinkSocket(NetlinkSocket.Netfilter);
        return [.. Sets.SelectMany(set => Read(socket, table, set))];
    }

    /// <summary>Tells of each destination once.</summary>
    /// <param name="read">Asks the kernel.</param>
    /// <param name="tell">Called with each line.</param>
    /// <param name="time">What the pauses are measured by.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task WatchAsync(Func<IReadOnlyList<IPEndPoint>> read, Action<string> tell, TimeProvider time, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Interval, time);
        var told = new HashSet<IPEndPoint>();
        while (told.Count < MaxTold && await timer.WaitForNextTickAsync(cancellation))
        {
            foreach (var destination in read().Where(told.Add).ToList())
                tell($"egress redirect: tcp {destination} goes out past the proxy");
        }

        tell($"egress redirect: more than {MaxTold} destinations; no others are told of");
    }

    private static List<IPEndPoint> Read(NetlinkSocket socket, string table, NftSet set)
    {
        byte[] body = [Inet, 0, 0, 0, .. Attribute(1, table), .. Attribute(2, set.Name)];
        return [.. socket.List(GetElements, body).SelectMany(Elements).Select(EndPoint)];

        static byte[] Attribute(ushort type, string text)
        {
            var name = Encoding.ASCII.GetBytes(text + '\0');
            return [.. BitConverter.GetBytes((ushort)(4 + name.Length)), .. BitConverter.GetBytes(type), .. name, .. new byte[-name.Length & 3]];
        }
    }

    // NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_LIST_ELEM, NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE.
    private static IEnumerable<ReadOnlyMemory<byte>> Elements(ReadOnlyMemory<byte> message) => NftReader.OfMessage(message)
        .Where(a => a.Type == 3).SelectMany(a => NftReader.Of(a.Value))
        .Where(a => a.Type == 1).SelectMany(a => NftReader.Of(a.Value))
        .Where(a => a.Type == 1).SelectMany(a => NftReader.Of(a.Value))
        .Where(a => a.Type == 1).Select(a => a.Value).Where(key => key.Length is 8 or 20);

    // An address and a port, filled up to four bytes.
    private static IPEndPoint EndPoint(ReadOnlyMemory<byte> key)
        => new(new IPAddress(key.Span[..^4]), BinaryPrimitives.ReadUInt16BigEndian(key.Span[^4..]));
}
