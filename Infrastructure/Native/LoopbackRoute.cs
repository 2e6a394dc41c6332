using System.Globalization;
using System.Net;

namespace Discobot.Infrastructure.Native;

/// <summary>
/// Ways by which a socket that is bound to an interface (SO_BINDTODEVICE) reaches the loopback addresses, as every other socket does (rtnetlink(7)). For
/// such a socket the kernel looks at routes by its interface alone, and would send by the uplink what was redirected to the loopback.
/// </summary>
internal static class LoopbackRoute
{
    private const string Interfaces = "/sys/class/net";
    private const ushort NewRoute = 24;
    private const ushort RequestAcknowledgeCreate = 1 | 4 | 0x400;
    private const byte LocalTable = 255;
    private const byte StaticProtocol = 4;
    private const byte HostScope = 254;
    private const byte LocalType = 2;
    private const uint Metric = 2048;
    private const int Exists = 17;
    private const int IsDown = 100;
    private const int IsGone = 19;

    /// <summary>Gives a loopback address a route by every interface that is up: by another nobody sends.</summary>
    /// <exception cref="LibcException">EPERM and EACCES as below, of one of them; the others have it.</exception>
    public static void AddByAll(IPAddress address)
    {
        if (!Directory.Exists(Interfaces))
            return;
        LibcException? failure = null;
        foreach (var directory in Directory.EnumerateFileSystemEntries(Interfaces).Where(directory => Path.GetFileName(directory) != "lo"))
        {
            // bonding_masters is a file.
            var index = Path.Combine(directory, "ifindex");
            if (!File.Exists(index))
                continue;
            try
            {
                Add(address, uint.Parse(File.ReadAllText(index).Trim(), CultureInfo.InvariantCulture));
            }
            catch (LibcException error)
            {
                // The next one may be the uplink.
                if (error.Number is not (IsDown or IsGone))
                    failure = error;
            }
            catch (Exception error) when (error is IOException or FormatException)
            {
                // It is gone.
            }
        }

        if (failure is not null)
            throw failure;
    }

    /// <summary>Gives a loopback address a route by one interface, behind the one that it has; one that is there already is no error.</summary>
    /// <exception cref="LibcException">EPERM without CAP_NET_ADMIN in this network namespace; ENETDOWN where the interface is down; EACCES where the family is off.</exception>
    public static void Add(IPAddress address, uint interfaceIndex)
    {
        var bytes = address.GetAddressBytes();
        // struct nlmsghdr, struct rtmsg (family, length of the destination and source, TOS, table, protocol, scope, type, flags), then RTA_DST, RTA_OIF and
        // RTA_PRIORITY.
        var message = new byte[NetlinkSocket.HeaderSize + 12 + 4 + bytes.Length + 8 + 8];
        BitConverter.TryWriteBytes(message, message.Length);
        BitConverter.TryWriteBytes(message.AsSpan(4), NewRoute);
        BitConverter.TryWriteBytes(message.AsSpan(6), RequestAcknowledgeCreate);
        BitConverter.TryWriteBytes(message.AsSpan(8), 1u);
        message[16] = (byte)(bytes.Length == 4 ? 2 : 10);
        message[17] = (byte)(bytes.Length * 8);
        message[20] = LocalTable;
        message[21] = StaticProtocol;
        message[22] = bytes.Length == 4 ? HostScope : (byte)0;
        message[23] = LocalType;
        var at = 28;
        foreach (var (type, value) in new[] { ((ushort)1, bytes), ((ushort)4, BitConverter.GetBytes(interfaceIndex)), ((ushort)6, BitConverter.GetBytes(Metric + interfaceIndex)) })
        {
            BitConverter.TryWriteBytes(message.AsSpan(at), (ushort)(4 + value.Length));
            BitConverter.TryWriteBytes(message.AsSpan(at + 2), type);
            value.CopyTo(message, at + 4);
            at += 4 + value.Length;
        }

        using var socket = new NetlinkSocket(NetlinkSocket.Route);
        if (socket.Send(message, [1]) is { } failure && failure.Error != Exists)
            throw new LibcException("route", address.ToString(), failure.Error);
    }
}
