using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>A pooled connection to an upstream: its bytes are counted, and it is no longer watched when it is closed.</summary>
/// <param name="socket">Connected; the stream owns it.</param>
/// <param name="bytes">The counters.</param>
/// <param name="watch">Disposed with the stream, if there is one.</param>
internal sealed class UpstreamStream(Socket socket, UpstreamBytes bytes, IDisposable? watch) : NetworkStream(socket, ownsSocket: true)
{
    private volatile DialRefusedException? _refusal;

    /// <summary>Cuts the connection off. Whoever uses it now, or is about to, learns why, and not that the upstream had gone.</summary>
    public void Refuse(in EgressVerdict verdict)
    {
        _refusal = new DialRefusedException(ProxyError.Blocked(verdict));
        try
        {
            Socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has gone.
        }
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = base.ReadAsync(buffer, cancellationToken);
        return read.IsCompletedSuccessfully ? new(Received(read.Result)) : ReceiveAsync(read);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_refusal is { } refusal)
            return ValueTask.FromException(refusal);
        bytes.Sent(buffer.Length);
        return base.WriteAsync(buffer, cancellationToken);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            watch?.Dispose();
        base.Dispose(disposing);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveAsync(ValueTask<int> read)
    {
        try
        {
            return Received(await read);
        }
        catch (IOException) when (_refusal is { } refusal)
        {
            throw refusal;
        }
    }

    private int Received(int count)
    {
        if (count == 0 && _refusal is { } refusal)
            throw refusal;
        bytes.Received(count);
        return count;
    }
}
