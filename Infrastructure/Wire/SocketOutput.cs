using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

/// <summary>What is sent to a client, from where it lies and on the thread that has it. Like the transport's pipe, it swallows what a client that
/// is gone no longer gets: reading tells that it is.</summary>
internal sealed class SocketOutput(Socket socket) : Stream
{
    /// <summary>Bytes that are handed over at a time, so that a slow client is seen to take some of them.</summary>
    private const int Piece = 256 << 10;

    private long _waitingSince = long.MaxValue;

    private ulong _acknowledged;
    private long _takenAt;

    /// <summary>Whether the client has been waited for and has taken nothing for so long. Asked again and again, by one thread at a time: what it has
    /// taken between two questions counts, however little of what is being sent that is.</summary>
    /// <param name="now">Milliseconds of <see cref="Environment.TickCount64"/>.</param>
    /// <param name="limit">Milliseconds.</param>
    public bool TakesNothing(long now, long limit)
    {
        var since = Volatile.Read(ref _waitingSince);
        if (since == long.MaxValue)
            return false;
        if (TcpInfo.Of(socket)?.Acknowledged is { } acknowledged && acknowledged != _acknowledged)
            (_acknowledged, _takenAt) = (acknowledged, now);
        return now - Math.Max(since, _takenAt) > limit;
    }

    /// <summary>Whether the client can be sent nothing any more.</summary>
    public bool IsGone { get; private set; }

    /// <summary>Whether that is since it has reset its connection, having ended nothing before.</summary>
    public bool IsReset { get; private set; }

    public Socket Socket => socket;

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            while (!buffer.IsEmpty && !IsGone)
            {
                var sending = socket.SendAsync(buffer[..Math.Min(buffer.Length, Piece)], cancellationToken);
                if (!sending.IsCompletedSuccessfully)
                    Volatile.Write(ref _waitingSince, Environment.TickCount64);
                buffer = buffer[await sending..];
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            (IsReset, IsGone) = (e is SocketException { SocketErrorCode: SocketError.ConnectionReset }, true);
        }
        finally
        {
            Volatile.Write(ref _waitingSince, long.MaxValue);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
