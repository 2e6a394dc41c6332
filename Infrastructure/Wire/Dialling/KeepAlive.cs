using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>
/// TCP's keep-alive (tcp(7)): whoever vanished without a word is noticed within two minutes, also where nobody has anything to say.
/// </summary>
internal static class KeepAlive
{
    /// <summary>Seconds. Home routers and cloud balancers forget a flow that is idle for five minutes or less.</summary>
    private const int Idle = 60;

    /// <summary>Seconds.</summary>
    private const int Interval = 15;

    private const int Probes = 4;

    /// <summary>Whatever is accepted from a listening socket inherits it.</summary>
    public static void Use(Socket socket)
    {
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, Idle);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, Interval);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);
    }
}
