using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Networks;

/// <summary>A pipe through which the kernel hands bytes from one socket to another without copying them here (splice(2)). Neither socket may
/// be a blocking one.</summary>
internal sealed partial class SplicePipe : IDisposable
{
    // What a pipe may hold without a privilege, unless an administrator changed it (pipe(7)).
    private const int Capacity = 1 << 20;

    private const int SetPipeSize = 1031;
    private const int NonBlocking = 2;
    private const int TryAgain = 11;

    private readonly SafeFileHandle _exit;
    private readonly SafeFileHandle _entrance;

    private SplicePipe(SafeFileHandle exit, SafeFileHandle entrance) => (_exit, _entrance) = (exit, entrance);

    /// <summary>Bytes that were taken and not yet passed on.</summary>
    public int Waiting { get; private set; }

    /// <returns>False where there are no more file handles: copy instead.</returns>
    public static bool TryCreate([NotNullWhen(true)] out SplicePipe? pipe)
    {
        Span<int> ends = stackalloc int[2];
        pipe = MakePipe(ends, Libc.CloseOnExec | Libc.NonBlocking) == 0
            ? new SplicePipe(new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true))
            : null;
        if (pipe is not null)
            _ = Control(pipe._entrance, SetPipeSize, Capacity);
        return pipe is not null;
    }

    /// <summary>Takes what a socket has received. <see cref="Waiting"/> must be 0.</summary>
    /// <param name="socket">Where to take it from.</param>
    /// <param name="taken">Bytes; 0 at its end.</param>
    /// <returns>False when there is nothing now.</returns>
    /// <exception cref="IOException">The connection failed.</exception>
    public bool TryTake(SafeHandle socket, out int taken)
    {
        taken = Waiting = Move(socket, _entrance, Capacity, "receive");
        return taken >= 0;
    }

    /// <summary>Passes on what a socket is ready to send.</summary>
    /// <returns>False when that is nothing now.</returns>
    /// <exception cref="IOException">The connection failed.</exception>
    public bool TryPass(SafeHandle socket)
    {
        var passed = Move(_exit, socket, Waiting, "send");
        Waiting -= Math.Max(0, passed);
        return passed > 0;
    }

    /// <summary>Takes back what could not be passed on.</summary>
    /// <returns>Bytes.</returns>
    public int Read(Span<byte> buffer)
    {
        var read = ReadPipe(_exit, buffer, (nuint)buffer.Length);
        if (read < 0)
            throw LibcException.Last("read", "pipe");
        Waiting -= (int)read;
        return (int)read;
    }

    public void Dispose()
    {
        _exit.Dispose();
        _entrance.Dispose();
    }

    private static int Move(SafeHandle from, SafeHandle to, int length, string what)
    {
        var moved = Splice(from, 0, to, 0, (nuint)length, NonBlocking);
        if (moved >= 0)
            return (int)moved;
        // Sandboxes that know no splice say so in various ways: then the caller copies.
        return Marshal.GetLastPInvokeError() is TryAgain or LibcException.Invalid or LibcException.NotImplemented or LibcException.NotPermitted
            ? -1
            : throw LibcException.Last("splice", what);
    }

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int MakePipe(Span<int> ends, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(SafeHandle file, int command, int value);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadPipe(SafeHandle file, Span<byte> buffer, nuint size);

    [LibraryImport("libc", EntryPoint = "splice", SetLastError = true)]
    private static partial nint Splice(SafeHandle from, nint fromOffset, SafeHandle to, nint toOffset, nuint length, uint flags);
}
