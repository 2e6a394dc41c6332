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

    private const ushort DoneMessage = 3;
    private const ushort RequestList = 0x301;
    private const int NetlinkLevel = 270;
    private const int AddMembership = 1;
    private const int TooMuch = 105; // ENOBUFS

    private const int AttributeHeader = 4;

    private readonly SafeFileHandle _socket;

    /// <summary>Attributes one behind the other, as in a message behind its fixed part, or in a nest. What is torn ends them.</summary>
    public static IEnumerable<(int Type, ReadOnlyMemory<byte> Value)> Attributes(ReadOnlyMemory<byte> rest)
    {
        while (rest.Length >= AttributeHeader)
        {
            var length = BitConverter.ToUInt16(rest.Span);
            if (length < AttributeHeader || length > rest.Length)
                yield break;
            // NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of the type.
            yield return (BitConverter.ToUInt16(rest.Span[2..]) & 0x3FFF, rest[AttributeHeader..length]);
            rest = rest[Math.Min(rest.Length, (length + 3) & ~3)..];
        }
    }

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

    /// <summary>Asks for a list, and reads it.</summary>
    /// <param name="type">Of the message that asks.</param>
    /// <param name="body">What stands behind its header.</param>
    /// <returns>What stands behind the header of each message of the list.</returns>
    /// <exception cref="LibcException">Nothing could be sent or heard. A list of what does not exist is empty.</exception>
    public List<ReadOnlyMemory<byte>> List(ushort type, ReadOnlySpan<byte> body)
    {
        var request = new byte[HeaderSize + body.Length];
        BitConverter.TryWriteBytes(request, (uint)request.Length);
        BitConverter.TryWriteBytes(request.AsSpan(4), type);
        BitConverter.TryWriteBytes(request.AsSpan(6), RequestList);
        body.CopyTo(request.AsSpan(HeaderSize));
        if (Write(_socket, request, (nuint)request.Length) != request.Length)
            throw LibcException.Last("send", "to netlink");
        var list = new List<ReadOnlyMemory<byte>>();
        while (true)
        {
            var received = ReadSome() ?? throw LibcException.Last("receive", "from netlink");
            foreach (var (kind, payload) in Messages(received))
            {
                if (kind == DoneMessage)
                    return list;
                if (kind != ErrorMessage)
                    list.Add(payload);
                else if (-BinaryPrimitives.ReadInt32LittleEndian(payload.Span) is var error && error != 0)
                    return error == LibcException.NotFound ? [] : throw new LibcException("receive", "from netlink", error);
            }
        }
    }

    /// <summary>From now on hears what is told to a group of listeners.</summary>
    public void Join(uint group)
    {
        // struct sockaddr_nl. Without an address of its own a socket counts as the kernel's, and is told nothing.
        Span<byte> address = stackalloc byte[12];
        address.Clear();
        BitConverter.TryWriteBytes(address, (ushort)AddressFamily);
        if (Bind(_socket, address, (uint)address.Length) != 0)
            throw LibcException.Last("bind", "of netlink");
        if (SetOption(_socket, NetlinkLevel, AddMembership, BitConverter.GetBytes(group), sizeof(uint)) != 0)
            throw LibcException.Last("setsockopt", "of netlink");
    }

    /// <summary>Waits for the next messages, for five seconds at most.</summary>
    /// <returns>The type of each and what stands behind its header; none when nothing came; null when it was too much at once, and some is lost.</returns>
    public IReadOnlyList<(ushort Type, ReadOnlyMemory<byte> Payload)>? Receive()
        => ReadSome() is { } received ? [.. Messages(received)] : Marshal.GetLastPInvokeError() == TooMuch ? null : [];

    public void Dispose() => _socket.Dispose();

    private byte[]? ReadSome()
    {
        var buffer = new byte[64 * 1024];
        var length = Read(_socket, buffer, (nuint)buffer.Length);
        return length < 0 ? null : buffer[..(int)length];
    }

    private static IEnumerable<(ushort Type, ReadOnlyMemory<byte> Payload)> Messages(ReadOnlyMemory<byte> received)
    {
        while (received.Length >= HeaderSize)
        {
            var length = (int)BitConverter.ToUInt32(received.Span);
            if (length < HeaderSize || length > received.Length)
                yield break;
            yield return (BitConverter.ToUInt16(received.Span[4..]), received[HeaderSize..length]);
            received = received[Math.Min(received.Length, (length + 3) & ~3)..];
        }
    }

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

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int Bind(SafeHandle socket, ReadOnlySpan<byte> address, uint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeHandle socket, ReadOnlySpan<byte> bytes, nuint length);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeHandle socket, Span<byte> buffer, nuint length);
}
