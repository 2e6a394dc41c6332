using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>
/// A file of the shared directory as it is read once, from its beginning. No read lasts for ever: a file system that stands still ends the stream, and
/// the rest comes from the origin.
/// </summary>
internal class SharedStream(SafeFileHandle file, long length) : Stream
{
    private byte[] _buffer = new byte[256 << 10];
    private SafeFileHandle _file = file;
    private Task<int> _reading = Task.FromResult(0);
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position { get => _position; set => throw new NotSupportedException(); }

    /// <summary>The file that is read now.</summary>
    protected SafeFileHandle File => _file;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = (int)Math.Min(Math.Min(buffer.Length, _buffer.Length), length - _position);
        if (count <= 0)
            return 0;
        try
        {
            // Into a buffer of its own: one that comes too late must not write into what is the caller's again.
            var (into, from, at) = (_buffer, _file, _position);
            _reading = Task.Run(() => RandomAccess.Read(from, into.AsSpan(0, count), at), CancellationToken.None);
            var read = await _reading.WaitAsync(VolumeAccess.Limit, cancellationToken);
            into.AsSpan(0, read).CopyTo(buffer.Span);
            _position += read;
            return read;
        }
        catch (TimeoutException e)
        {
            throw new IOException($"the shared cache has not answered for {VolumeAccess.Limit.TotalSeconds:0} s", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    /// <summary>Goes on in another file, from the same place.</summary>
    protected void Continue(SafeFileHandle other)
    {
        _file.Dispose();
        _file = other;
    }

    protected override void Dispose(bool disposing)
    {
        // A read that is still under way holds the handle until it ends.
        if (disposing)
            _file.Dispose();
        base.Dispose(disposing);
    }
}
