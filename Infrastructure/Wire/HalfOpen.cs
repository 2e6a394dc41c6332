using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

/// <summary>Tells a peer that has only ended its own direction from one that is gone.</summary>
internal static class HalfOpen
{
    /// <summary>Whether the kernel knows of nothing but a direction that has ended.</summary>
    public static bool Is(Socket socket) => TcpInfo.Of(socket) is { IsOpen: true };

    /// <summary>Has the kernel ask the peer once a second: a machine that is gone does not answer, so that after three seconds in vain the
    /// connection ends. A program that is gone leaves a kernel that answers for another minute (tcp_fin_timeout), unless its end was a reset.</summary>
    public static void Ask(Socket socket)
    {
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 1);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 1);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended meanwhile.
        }
    }
}
