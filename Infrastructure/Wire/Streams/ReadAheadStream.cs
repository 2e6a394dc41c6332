using System.Buffers;
using System.Runtime.CompilerServices;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>
/// Reads a connection in large pieces under a TLS stream, which asks for one record (16 KiB) at a time and, before each, whether there is one:
/// two system calls a record become one for eight. The buffer is held only while it holds something.
/// </summary>
/// <remarks>128 KiB measured against 256: the same 2.4 CPU-seconds for a GiB of misses.</remarks>
internal sealed class ReadAheadStream(Stream inner) : Stream
{
    private const int Capacity = 128 << 10;

    private byte[]? _buffer;
    private int _start;
    private int _end;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _start < _end ? new(Take(buffer.Span))
            : buffer.Length is 0 or >= Capacity ? inner.ReadAsync(buffer, cancellationToken)
            : FillAndTakeAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer) => _start < _end ? Take(buffer) : inner.Read(buffer);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        inner.WriteAsync(buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        inner.WriteAsync(buffer, offset, count, cancellationToken);

    public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

    public override void Write(ReadOnlySpan<byte> buffer) => inner.Write(buffer);

    public override void Flush() => inner.Flush();

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        // A buffer that holds something is left to the collector: a read may still be about to copy from it.
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> FillAndTakeAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var rented = ArrayPool<byte>.Shared.Rent(Capacity);
        (_start, _end) = (0, 0);
        try
        {
            var read = await inner.ReadAsync(rented.AsMemory(0, Capacity), cancellationToken);
            (_buffer, _end) = (rented, read);
        }
        finally
        {
            if (_end == 0)
                ArrayPool<byte>.Shared.Return(rented);
        }

        return _end == 0 ? 0 : Take(buffer.Span);
    }

    private int Take(Span<byte> destination)
    {
        var count = Math.Min(destination.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(destination);
        _start += count;
        if (_start == _end)
        {
            ArrayPool<byte>.Shared.Return(_buffer!);
            _buffer = null;
        }

        return count;
    }
}
