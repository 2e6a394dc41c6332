using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>Sockets as numbers, for who has thousands of them: the runtime's own cost more than a KiB each.</summary>
internal static partial class Libc
{
    public const int CloseRead = 0;
    public const int CloseWrite = 1;
    private const int Inet = 2;
    private const int Stream = 1;
    private const int NoSignal = 0x4000;
    private const int SocketLevel = 1;
    private const int TcpLevel = 6;
    private const int InProgress = 115;
    private const int ErrorOption = 4;
    private const int KeepAliveOption = 9;
    private const int LingerOption = 13;

    /// <summary>Takes a connection that waits; it never blocks.</summary>
    /// <returns>-1 with the reason in the last error.</returns>
    public static int Accept(int listener) => AcceptSocket(listener, 0, 0, CloseOnExec | NonBlocking);

    /// <summary>Begins a connection to a port of the loopback, IPv4; it never blocks.</summary>
    /// <returns>-1 when it failed at once.</returns>
    public static int ConnectToLoopback(int port)
    {
        var socket = OpenSocket(Inet, Stream | CloseOnExec | NonBlocking, 0);
        if (socket < 0)
            return -1;
        // sockaddr_in (ip(7)): the family in the machine's order, port and address in the network's.
        Span<byte> address = stackalloc byte[16];
        address.Clear();
        MemoryMarshal.Write(address, (ushort)Inet);
        (address[2], address[3], address[4], address[7]) = ((byte)(port >> 8), (byte)port, 127, 1);
        if (Connect(socket, address, (uint)address.Length) == 0 || Marshal.GetLastPInvokeError() == InProgress)
            return socket;
        _ = CloseDescriptor(socket);
        return -1;
    }

    /// <returns>Bytes; 0 at the end; -1 with the reason in the last error.</returns>
    public static int Receive(int socket, Span<byte> buffer) => (int)ReceiveBytes(socket, buffer, (nuint)buffer.Length, 0);

    /// <summary>Sends what fits. Whose peer is gone gets an error, and the process no signal.</summary>
    /// <returns>Bytes; -1 with the reason in the last error.</returns>
    public static int Send(int socket, ReadOnlySpan<byte> bytes) => (int)SendBytes(socket, bytes, (nuint)bytes.Length, NoSignal);

    /// <summary>What has happened to a connection (SO_ERROR); 0 when nothing has.</summary>
    public static int SocketError(int socket)
    {
        Span<int> value = [0];
        uint length = sizeof(int);
        return GetOption(socket, SocketLevel, ErrorOption, value, ref length) == 0 ? value[0] : Marshal.GetLastPInvokeError();
    }

    /// <summary>Bytes sent that the peer has not acknowledged (SIOCOUTQ); 0 where that cannot be told.</summary>
    public static int Unacknowledged(int socket)
    {
        const nuint Outstanding = 0x5411;
        var bytes = 0;
        return Control(socket, Outstanding, ref bytes) == 0 ? bytes : 0;
    }

    /// <summary>A peer that says nothing is asked after a time, again and again, and then counts as gone (tcp(7)).</summary>
    /// <param name="socket">The connection.</param>
    /// <param name="idle">Seconds until the first question.</param>
    /// <param name="interval">Seconds between them.</param>
    /// <param name="count">Questions.</param>
    public static void KeepAlive(int socket, int idle, int interval, int count)
    {
        foreach (var (level, name, value) in new[] { (SocketLevel, KeepAliveOption, 1), (TcpLevel, 4, idle), (TcpLevel, 5, interval), (TcpLevel, 6, count) })
            _ = SetOption(socket, level, name, [value], sizeof(int));
    }

    /// <summary>Small pieces are sent at once.</summary>
    public static void NoDelay(int socket) => _ = SetOption(socket, TcpLevel, 1, [1], sizeof(int));

    /// <summary>Closes a connection; its peer is told that it failed.</summary>
    public static void Reset(int socket)
    {
        _ = SetOption(socket, SocketLevel, LingerOption, [1, 0], 2 * sizeof(int));
        _ = CloseDescriptor(socket);
    }

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    public static partial int Shutdown(int socket, int how);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int CloseDescriptor(int descriptor);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    private static partial int AcceptSocket(int listener, nint address, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int OpenSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int Connect(int socket, ReadOnlySpan<byte> address, uint length);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint ReceiveBytes(int socket, Span<byte> buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint SendBytes(int socket, ReadOnlySpan<byte> bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(int descriptor, nuint request, ref int value);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    private static partial int GetOption(int socket, int level, int name, Span<int> value, ref uint length);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetOption(int socket, int level, int name, ReadOnlySpan<int> value, uint length);
}
