using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Networks;

/// <summary>A connection to a part of the kernel's network (netlink(7)). What is owned by it ends with it.</summary>
internal sealed partial class NetlinkSocket : IDisposable
{
    /// <summary>netlink(7): <c>struct nlmsghdr</c> is length, type, flags, sequence, port.</summary>
    public const int HeaderSize = 16;

    private const int AddressFamily = 16;
    private const int Raw = 3 | 0x80000;
    /// <summary>linux/netlink.h: the protocols.</summary>
    public const int Route = 0;

    public const int Netfilter = 12;
    private const int SocketLevel = 1;
    private const int ReceiveTimeout = 20;
    private const ushort ErrorMessage = 2;

    private readonly SafeFileHandle _socket;

    /// <exception cref="LibcException">EPROTONOSUPPORT where the kernel has no netfilter.</exception>
    public NetlinkSocket(int protocol)
    {
        _socket = OpenSocket(AddressFamily, Raw, protocol);
        if (_socket.IsInvalid)
            throw LibcException.Last("socket", "of netlink");
        // The kernel answers while it is asked; the limit is for a kernel that does not.
        Span<long> limit = [5, 0];
        if (SetOption(_socket, SocketLevel, ReceiveTimeout, MemoryMarshal.AsBytes(limit), sizeof(long) * 2) != 0)
            throw LibcException.Last("setsockopt", "of netlink");
    }

    /// <summary>Sends messages that each ask for an answer, and reads the answers.</summary>
    /// <param name="messages">Whole netlink messages, one behind the other.</param>
    /// <param name="sequences">Their sequence numbers that will be answered.</param>
    /// <returns>The first error: the sequence number of its message and errno; null when all went well.</returns>
    /// <exception cref="LibcException">Nothing could be sent or heard.</exception>
    public (uint Sequence, int Error)? Send(ReadOnlySpan<byte> messages, IReadOnlyCollection<uint> sequences)
    {
        if (Write(_socket, messages, (nuint)messages.Length) != messages.Length)
            throw LibcException.Last("send", "to netlink");
        var waiting = new HashSet<uint>(sequences);
        (uint, int)? failure = null;
        var buffer = new byte[64 * 1024];
        while (waiting.Count > 0)
        {
            var length = Read(_socket, buffer, (nuint)buffer.Length);
            if (length < 0)
                throw LibcException.Last("receive", "from netlink");
            foreach (var (sequence, error) in Answers(buffer.AsMemory(0, (int)length)))
            {
                // A refused transaction is answered once, and not always under a number of ours.
                if (error != 0)
                    return (sequence, error);
                waiting.Remove(sequence);
            }
        }

        return failure;
    }

    public void Dispose() => _socket.Dispose();

    private static IEnumerable<(uint Sequence, int Error)> Answers(ReadOnlyMemory<byte> received)
    {
        while (received.Length >= HeaderSize)
        {
            var length = (int)BitConverter.ToUInt32(received.Span);
            if (length < HeaderSize || length > received.Length)
                yield break;
            if (BitConverter.ToUInt16(received.Span[4..]) == ErrorMessage && length >= HeaderSize + 4)
                yield return (BitConverter.ToUInt32(received.Span[8..]), -BinaryPrimitives.ReadInt32LittleEndian(received.Span[HeaderSize..]));
            received = received[Math.Min(received.Length, (length + 3) & ~3)..];
        }
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial SafeFileHandle OpenSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetOption(SafeHandle socket, int level, int name, ReadOnlySpan<byte> value, uint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeHandle socket, ReadOnlySpan<byte> bytes, nuint length);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeHandle socket, Span<byte> buffer, nuint length);
}
