using System.Net;

namespace Discobot.Infrastructure.Native;

/// <summary>More addresses of the loopback interface (rtnetlink(7)).</summary>
internal static class LoopbackAddress
{
    private const ushort NewAddress = 20;
    private const ushort RequestAcknowledgeCreate = 1 | 4 | 0x400;
    private const byte Interface = 1;
    private const byte HostScope = 254;
    private const int Exists = 17;

    /// <summary>Gives the loopback interface an address; one that it has already is no error.</summary>
    /// <exception cref="LibcException">EPERM without CAP_NET_ADMIN in this network namespace; EACCES where the family is off.</exception>
    public static void Add(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        var attribute = 4 + bytes.Length;
        // struct nlmsghdr, struct ifaddrmsg (family, prefix, flags, scope, interface), then IFA_ADDRESS and IFA_LOCAL.
        var message = new byte[NetlinkSocket.HeaderSize + 8 + 2 * attribute];
        BitConverter.TryWriteBytes(message, message.Length);
        BitConverter.TryWriteBytes(message.AsSpan(4), NewAddress);
        BitConverter.TryWriteBytes(message.AsSpan(6), RequestAcknowledgeCreate);
        BitConverter.TryWriteBytes(message.AsSpan(8), 1u);
        message[16] = (byte)(bytes.Length == 4 ? 2 : 10);
        message[17] = (byte)(bytes.Length * 8);
        message[19] = HostScope;
        message[20] = Interface;
        for (var (type, at) = ((ushort)1, 24); type <= 2; type++, at += attribute)
        {
            BitConverter.TryWriteBytes(message.AsSpan(at), (ushort)attribute);
            BitConverter.TryWriteBytes(message.AsSpan(at + 2), type);
            bytes.CopyTo(message, at + 4);
        }

        using var socket = new NetlinkSocket(NetlinkSocket.Route);
        if (socket.Send(message, [1]) is { } failure && failure.Error != Exists)
            throw new LibcException("address", address.ToString(), failure.Error);
    }
}
