using System.Net;
using System.Text;

namespace Discobot.Infrastructure.Native.Networks;

/// <summary>
/// The addresses of a network interface, from the kernel (rtnetlink(7)). The runtime's own way reads resolv.conf beside them, which may be anything.
/// </summary>
internal static class InterfaceAddress
{
    private const ushort GetAddresses = 22;
    private const byte Inet = 2;
    private const int MessageSize = 8; // struct ifaddrmsg: family, prefix, flags, scope, interface
    private const int Local = 2;
    private const int Label = 3;

    /// <summary>The first IPv4 address of an interface; null when there is none, or no such interface.</summary>
    /// <exception cref="LibcException">The kernel does not tell.</exception>
    public static IPAddress? Find(string name)
    {
        var question = new byte[MessageSize];
        question[0] = Inet;
        using var socket = new NetlinkSocket(NetlinkSocket.Route);
        foreach (var message in socket.List(GetAddresses, question))
        {
            var attributes = NetlinkSocket.Attributes(message.Length < MessageSize ? default : message[MessageSize..]).ToDictionary(a => a.Type, a => a.Value);
            if (attributes.TryGetValue(Label, out var label) && Encoding.UTF8.GetString(label.Span).TrimEnd('\0') == name && attributes.TryGetValue(Local, out var address))
                return new IPAddress(address.Span);
        }

        return null;
    }
}
