using System.Buffers.Binary;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Native.Networks;

/// <summary>What the kernel knows of a connection: tcp(7), <c>struct tcp_info</c> of linux/tcp.h.</summary>
internal readonly struct TcpInfo
{
    private const int Option = 11;
    private const int AcknowledgedAt = 120;
    private const int SentAt = 200;
    private const int SentAgainAt = 208;
    private const int Size = 216;

    private const byte Established = 1;
    private const byte CloseWait = 8;

    // Each takes a number of its own in TCP's count.
    private const ulong BeginAndEnd = 2;

    private readonly byte _state;
    private readonly ulong? _sent;

    private TcpInfo(ReadOnlySpan<byte> info)
    {
        _state = info[0];
        Acknowledged = info.Length < AcknowledgedAt + sizeof(ulong) ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(info[AcknowledgedAt..]);
        _sent = info.Length < Size ? null : BinaryPrimitives.ReadUInt64LittleEndian(info[SentAt..]) - BinaryPrimitives.ReadUInt64LittleEndian(info[SentAgainAt..]);
    }

    /// <summary>How much the peer's machine has received, in bytes from any beginning.</summary>
    public ulong Acknowledged { get; }

    /// <summary>Whether we have not ended it, and the peer has ended its own direction at most.</summary>
    public bool IsOpen => _state is Established or CloseWait;

    /// <summary>Whether the peer's machine has received all that was sent, and that it was all; true where the kernel does not tell (before Linux 4.19).</summary>
    public bool IsEndAcknowledged => _sent is not { } sent || Acknowledged >= sent + BeginAndEnd;

    /// <returns>Null where the socket is closed.</returns>
    public static TcpInfo? Of(Socket socket)
    {
        Span<byte> info = stackalloc byte[Size];
        try
        {
            return socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, Option, info) is > 0 and var length ? new TcpInfo(info[..length]) : null;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }
}
