using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Networks;

/// <summary>What a descriptor is ready for (epoll_ctl(2)).</summary>
[Flags]
internal enum Ready
{
    None = 0,
    In = 1,
    Out = 4,

    /// <summary>Told whether or not it was asked for, as is the next.</summary>
    Error = 8,
    Hangup = 16,
}

/// <summary>Tells which of many descriptors are ready, as long as they are (epoll(7), level-triggered).</summary>
internal sealed partial class EventPoll : IDisposable
{
    private const int CloseOnExec = 0x80000;
    private const int Add = 1;
    private const int Delete = 2;
    private const int Modify = 3;
    private const int AtOnce = 256;
    private const int Interrupted = 4;

    // struct epoll_event is packed on x86-64 alone.
    private static readonly int Size = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int KeyAt = Size - sizeof(long);
    private readonly byte[] _events = new byte[AtOnce * Size];
    private readonly SafeFileHandle _poll;

    /// <exception cref="LibcException">There are too many open files.</exception>
    public EventPoll()
    {
        _poll = Create(CloseOnExec);
        if (_poll.IsInvalid)
            throw LibcException.Last("epoll_create1", "");
    }

    /// <summary>Watches a descriptor.</summary>
    /// <param name="descriptor">Closing it ends that.</param>
    /// <param name="key">Comes with what is told of it.</param>
    /// <param name="interest">For what.</param>
    public void Watch(int descriptor, long key, Ready interest) => Set(Add, descriptor, key, interest);

    public void Change(int descriptor, long key, Ready interest) => Set(Modify, descriptor, key, interest);

    public void Forget(int descriptor) => Set(Delete, descriptor, 0, Ready.None);

    /// <summary>Waits until something is ready.</summary>
    /// <param name="milliseconds">At most so long; -1 for ever.</param>
    /// <param name="seen">Called for each.</param>
    public void Wait(int milliseconds, Action<long, Ready> seen)
    {
        var count = WaitForEvents(_poll, _events, AtOnce, milliseconds);
        if (count < 0 && Marshal.GetLastPInvokeError() != Interrupted)
            throw LibcException.Last("epoll_wait", "");
        for (var i = 0; i < count; i++)
        {
            var entry = _events.AsSpan(i * Size, Size);
            seen(BinaryPrimitives.ReadInt64LittleEndian(entry[KeyAt..]), (Ready)BinaryPrimitives.ReadInt32LittleEndian(entry));
        }
    }

    public void Dispose() => _poll.Dispose();

    private void Set(int operation, int descriptor, long key, Ready interest)
    {
        Span<byte> entry = stackalloc byte[Size];
        BinaryPrimitives.WriteInt32LittleEndian(entry, (int)interest);
        BinaryPrimitives.WriteInt64LittleEndian(entry[KeyAt..], key);
        if (Control(_poll, operation, descriptor, entry) != 0)
            throw LibcException.Last("epoll_ctl", $"{descriptor}");
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial SafeFileHandle Create(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int Control(SafeHandle poll, int operation, int descriptor, Span<byte> entry);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int WaitForEvents(SafeHandle poll, Span<byte> events, int count, int milliseconds);
}
