using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Discobot.Features.Interception;

/// <summary>
/// Sends answers from where they lie, on the thread that has them. Kestrel's transport copies them into a pipe of 4 KiB blocks first, from
/// which another thread sends.
/// </summary>
/// <remarks>Measured on two cores, together with the workstation's collector: cached blobs of 512 MiB 0.84 -> 0.70 (HTTP/1.1) and
/// 0.88 -> 0.80 (HTTP/2) CPU-seconds a GiB, misses 2.70 -> 2.62; small answers as before.</remarks>
internal static class DirectOutput
{
    // For HTTP without TLS: the head and a small body in one piece. With TLS it is records that arrive here, whole.
    private const int BlockSize = 32 << 10;

    /// <summary>Runs <paramref name="next"/> with such an output, if the connection has a socket. What stands before it in the pipeline must
    /// have sent all it has.</summary>
    public static Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next) =>
        connection.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket
            ? OutputStage.RunAsync(
                connection, PipeWriter.Create(new Output(socket), new StreamPipeWriterOptions(minimumBufferSize: BlockSize)), next)
            : next(connection);

    /// <summary>Like the transport's pipe, it swallows what a client that is gone no longer gets: reading tells that it is.</summary>
    private sealed class Output(Socket socket) : Stream
    {
        private bool _gone;

        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                while (!buffer.IsEmpty && !_gone)
                    buffer = buffer[await socket.SendAsync(buffer, cancellationToken)..];
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                _gone = true;
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
}
