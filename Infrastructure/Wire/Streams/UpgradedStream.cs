using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>The bytes behind the head (and the body) of a request whose answer has switched protocols.</summary>
/// <param name="input">What the client sends.</param>
/// <param name="output">To the client.</param>
/// <param name="socket">Beneath it; null: there is none.</param>
/// <param name="end">Ends what is sent to it.</param>
/// <param name="reset">Resets its connection.</param>
internal sealed class UpgradedStream(PipeReader input, Stream output, SocketOutput? socket, Func<Task> end, Action reset) : Stream
{
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    private volatile bool _isOver;

    /// <summary>The client's.</summary>
    public Socket? Socket => socket?.Socket;

    /// <summary>Tells the client that no more will come; it may go on sending.</summary>
    public Task EndOutputAsync() => end();

    /// <summary>Tells it that the other side is gone.</summary>
    public void Reset() => reset();

    /// <summary>Wakes who still reads: the request is over.</summary>
    public void End()
    {
        _isOver = true;
        input.CancelPendingRead();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken);
            var bytes = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, buffer.Length));
            bytes.CopyTo(buffer.Span);
            input.AdvanceTo(bytes.End);
            if (!read.Buffer.IsEmpty || read.IsCompleted || _isOver)
                return (int)bytes.Length;
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <exception cref="IOException">The client has reset its connection.</exception>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await output.WriteAsync(buffer, cancellationToken);
        if (socket is { IsReset: true })
            throw new IOException("The client is gone.", new SocketException((int)SocketError.ConnectionReset));
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

/// <summary>How long clients may take, in milliseconds; <see cref="Timeout.Infinite"/> is no limit.</summary>
/// <param name="Head">To send the head of a request.</param>
/// <param name="Write">To take some of the answer while there is more.</param>
/// <param name="Idle">Between two requests.</param>
internal sealed record ClientTimes(int Head, int Write, int Idle);
