using System.Text;

namespace Discobot.Infrastructure.Native.Networks;

/// <summary>A bridge of this network (rtnetlink(7)). It was made here: unlike any other interface, none can be moved in from elsewhere.</summary>
/// <param name="Index">The kernel's number for it, which no other interface has had.</param>
/// <param name="Name">Its name.</param>
/// <param name="HasPort">Whether it leads anywhere.</param>
internal sealed record NetworkBridge(uint Index, string Name, bool HasPort)
{
    private const ushort GetLinks = 18;
    private const int MessageSize = 16; // struct ifinfomsg: family, type, index, flags, change
    private const int IndexAt = 4;
    private const int NameAttribute = 3;
    private const int Master = 10;
    private const int LinkInfo = 18;
    private const int Kind = 1;

    /// <summary>Those that are there now.</summary>
    /// <exception cref="LibcException">The kernel does not tell.</exception>
    public static IReadOnlyList<NetworkBridge> All()
    {
        using var socket = new NetlinkSocket(NetlinkSocket.Route);
        var masters = new HashSet<uint>();
        var bridges = new List<(uint Index, string Name)>();
        foreach (var message in socket.List(GetLinks, new byte[MessageSize]).Where(m => m.Length >= MessageSize))
        {
            var name = "";
            var kind = "";
            foreach (var (type, value) in NetlinkSocket.Attributes(message[MessageSize..]))
            {
                if (type == NameAttribute)
                    name = Text(value);
                else if (type == Master)
                    masters.Add(BitConverter.ToUInt32(value.Span));
                else if (type == LinkInfo)
                    kind = Text(NetlinkSocket.Attributes(value).FirstOrDefault(a => a.Type == Kind).Value);
            }

            if (kind == "bridge")
                bridges.Add((BitConverter.ToUInt32(message.Span[IndexAt..]), name));
        }

        return [.. bridges.Select(b => new NetworkBridge(b.Index, b.Name, masters.Contains(b.Index)))];
    }

    private static string Text(ReadOnlyMemory<byte> value) => Encoding.UTF8.GetString(value.Span).TrimEnd('\0');
}
