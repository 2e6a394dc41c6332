using System.Runtime.InteropServices;
using System.Text;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Logging;

/// <summary>
/// The log's file. Opened with O_APPEND, so that a tool that cuts it (<c>copytruncate</c>) or writes to it too leaves no holes; opened again when
/// asked, so that a tool may rename it; renamed by itself when it grows beyond a size.
/// </summary>
/// <remarks>Whole lines are written, by one thread; <see cref="Reopen"/> is for any thread.</remarks>
internal sealed class LogFile : Stream
{
    private const int Append = 0x400;
    private const uint Mode = 0x1a0; // 0640: hosts and paths are not for everybody

    private readonly string _path;
    private readonly long _maxSize;
    private readonly int _keep;
    private SafeFileHandle _file;
    private bool _hasLength;

    // What was written last did not end its line: a killed process, a full disk. The next line begins on one of its own, or both would be lost to readers.
    private bool _isTorn;
    private volatile bool _reopens;

    /// <param name="maxSize">Bytes; zero is no limit.</param>
    /// <param name="keep">How many older ones stay, as <c>path.1</c> (the youngest) and so on; zero: none.</param>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public LogFile(string path, long maxSize, int keep)
    {
        (_path, _maxSize, _keep) = (path, maxSize, keep);
        _file = Open();
    }

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <summary>Before the next lines, the path is opened again.</summary>
    public void Reopen() => _reopens = true;

    /// <param name="buffer">Whole lines, of which a file takes as many as it has room for, and one at least: no line is divided.</param>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (buffer.IsEmpty)
            return;
        if (_reopens)
        {
            _reopens = false;
            Replace();
        }

        while (!buffer.IsEmpty)
        {
            var piece = _maxSize > 0 && _hasLength ? MakeRoom(buffer) : buffer.Length;
            if (_isTorn)
                WriteWhole("\n"u8);
            WriteWhole(buffer[..piece]);
            buffer = buffer[piece..];
        }
    }

    /// <returns>How much of the lines goes into this file. What cannot be renamed takes all of them: better than losing some.</returns>
    private int MakeRoom(ReadOnlySpan<byte> lines)
    {
        var first = lines.IndexOf((byte)'\n') is var end and >= 0 ? end + 1 : lines.Length;
        var length = RandomAccess.GetLength(_file);
        if (length > 0 && length + first > _maxSize)
        {
            Rotate();
            Replace();
            length = _hasLength ? RandomAccess.GetLength(_file) : 0;
            if (length + first > _maxSize && length > 0)
                return lines.Length;
        }

        var room = _maxSize - length;
        return room >= lines.Length ? lines.Length : room < first ? first : lines[..(int)room].LastIndexOf((byte)'\n') + 1;
    }

    // O_APPEND knows where; a pipe has no place to be named.
    private void WriteWhole(ReadOnlySpan<byte> bytes)
    {
        const int Interrupted = 4;
        while (bytes.Length > 0)
        {
            var written = Libc.Write((int)_file.DangerousGetHandle(), bytes, (nuint)bytes.Length);
            if (written >= 0)
            {
                bytes = bytes[(int)written..];
                _isTorn = !bytes.IsEmpty;
            }
            else if (Marshal.GetLastPInvokeError() != Interrupted)
                throw LibcException.Last("write", _path);
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _file.Dispose();
        base.Dispose(disposing);
    }

    private SafeFileHandle Open()
    {
        // A FIFO that nobody reads would hold up the start: it is an error. Who reads may be slow, as anywhere.
        var file = Libc.OpenAt(
            Libc.CurrentDirectory, Encoding.UTF8.GetBytes(_path + "\0"), Libc.WriteOnly | Libc.Create | Append | Libc.CloseOnExec | Libc.NonBlocking, Mode);
        if (!file.IsInvalid)
        {
            Libc.SetStatusFlags(file, Append);
            _hasLength = HasLength(file);
            _isTorn = _hasLength && EndsInTheMiddle();
            return file;
        }

        var error = LibcException.Last("open", _path);
        file.Dispose();
        throw error;
    }

    private bool EndsInTheMiddle()
    {
        try
        {
            using var file = File.OpenHandle(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            Span<byte> last = stackalloc byte[1];
            return RandomAccess.GetLength(file) is > 0 and var length && RandomAccess.Read(file, last, length - 1) == 1 && last[0] != '\n';
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Who may write it and not read it goes on as it is.
            return false;
        }
    }

    // A pipe or a terminal has none, and is never renamed.
    private static bool HasLength(SafeFileHandle file)
    {
        try
        {
            return RandomAccess.GetLength(file) >= 0;
        }
        catch (NotSupportedException)
        {
            return false;
        }
    }

    // Where it cannot be opened, lines go on to where they went.
    private void Replace()
    {
        try
        {
            var old = _file;
            _file = Open();
            old.Dispose();
        }
        catch (IOException)
        {
            // The directory is gone or full; the next rotation or signal tries again.
        }
    }

    private void Rotate()
    {
        try
        {
            for (var i = _keep; i > 1; i--)
            {
                if (File.Exists(Older(i - 1)))
                    File.Move(Older(i - 1), Older(i), overwrite: true);
            }

            if (_keep > 0)
                File.Move(_path, Older(1), overwrite: true);
            else
                File.Delete(_path);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // It goes on growing: better than losing lines.
        }
    }

    private string Older(int age) => FormattableString.Invariant($"{_path}.{age}");
}
