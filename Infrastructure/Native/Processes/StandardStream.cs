using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>
/// The standard output or error by write(2) alone. On a terminal, .NET's own console streams switch the keypad to application mode at their first
/// write and nobody switches it back, so that arrow keys print letters in the programs after us. A <see cref="FileStream"/> would keep an offset
/// of its own and overwrite what others append to the same file.
/// </summary>
internal sealed partial class StandardStream : Stream
{
    private const int Interrupted = 4; // EINTR
    private const int WouldBlock = 11; // EAGAIN
    private const int BrokenPipe = 32; // EPIPE
    private const short Writable = 4; // POLLOUT
    private const nuint WindowSize = 0x5413; // TIOCGWINSZ

    private readonly int _descriptor;

    private StandardStream(int descriptor) => _descriptor = descriptor;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public static Stream Output() => new StandardStream(1);

    public static Stream Error() => new StandardStream(2);

    /// <summary>Makes <see cref="Console"/>'s writers such streams. Before anything is written.</summary>
    public static void UseForConsole()
    {
        Console.SetOut(new StreamWriter(Output()) { AutoFlush = true });
        Console.SetError(new StreamWriter(Error()) { AutoFlush = true });
    }

    /// <summary>Columns of the terminal that the output is; without one, lines may be of any length.</summary>
    public static int Width() => Control(1, WindowSize, out var size) == 0 && size.Columns > 0 ? size.Columns : int.MaxValue;

    /// <exception cref="IOException">It cannot be written. A reader that went away is none: what it does not want is dropped.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var written = Libc.Write(_descriptor, buffer, (nuint)buffer.Length);
            if (written >= 0)
            {
                buffer = buffer[(int)written..];
                continue;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case Interrupted:
                    break;
                // Whoever shares it with us made it so.
                case WouldBlock:
                    var wait = new PollDescriptor { Descriptor = _descriptor, Events = Writable };
                    // No limit: so it is with every output that is not read. Who must go on, writes by a thread of its own.
                    _ = Poll(ref wait, 1, -1);
                    break;
                case BrokenPipe:
                    return;
                case var error:
                    throw new IOException(new Win32Exception(error).Message);
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // Nothing is held back.
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref PollDescriptor descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Control(int descriptor, nuint request, out TerminalSize size);

    [StructLayout(LayoutKind.Sequential)]
    private struct TerminalSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort Width;
        public ushort Height;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Happened;
    }
}
