using System.Buffers;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure.Http1;

/// <summary>
/// A connection to a server: what has been read from it and not yet been used, and whether it may serve another request. One reader and one
/// writer at a time; <see cref="Abort"/> may come from anywhere.
/// </summary>
internal sealed class Http1Connection : IDisposable
{
    private const int BufferSize = 16 << 10;

    private readonly Stream _stream;
    private readonly NetworkStream _transport;
    private byte[]? _buffer;
    private int _start;
    private int _end;
    private int _scanned;
    private Task<int>? _early;
    private long _deadline = long.MaxValue;
    private Exception? _abortedFor;
    private int _isOutputEnded;

    /// <param name="stream">What is spoken over: the transport, or TLS on it.</param>
    /// <param name="transport">Owned, as the stream is.</param>
    /// <param name="origin">Whom it leads to.</param>
    public Http1Connection(Stream stream, NetworkStream transport, Http1Origin origin)
    {
        (_stream, _transport, Origin) = (stream, transport, origin);
        Created = LastUsed = Environment.TickCount64;
    }

    public Http1Origin Origin { get; }

    public Socket Socket => _transport.Socket;

    /// <summary>How it was made.</summary>
    public ConnectionTimes Times { get; init; }

    /// <summary>The last head that was read.</summary>
    public ResponseHead Head { get; } = new();

    /// <summary>In milliseconds of <see cref="Environment.TickCount64"/>.</summary>
    public long Created { get; }

    /// <summary>When it last became idle, likewise.</summary>
    public long LastUsed { get; set; }

    /// <summary>How long the server said that it keeps an idle connection, in milliseconds.</summary>
    public long ServerPatience { get; set; } = long.MaxValue;

    /// <summary>Whether it has served a request before, so that the server may have closed it in the meantime.</summary>
    public bool IsReused { get; set; }

    /// <summary>Whether anything of the present answer has arrived.</summary>
    public bool HasAnswered { get; private set; }

    /// <summary>Whether bytes have been read that nobody has used yet.</summary>
    public bool HasBuffered => _start < _end;

    /// <summary>Until when the server has to do something; beyond, <see cref="CheckDeadline"/> ends the connection.</summary>
    /// <remarks>One sweep over all connections instead of a timer for each wait.</remarks>
    public long Deadline
    {
        get => Volatile.Read(ref _deadline);
        set => Volatile.Write(ref _deadline, value);
    }

    /// <summary>Begins another request: nothing of its answer is here.</summary>
    public void Begin() => HasAnswered = false;

    /// <summary>Whether the peer's system has not yet acknowledged all that was sent (tcp(7), SIOCOUTQ).</summary>
    public bool HasUnacknowledged
    {
        get
        {
            try
            {
                return Libc.Unacknowledged((int)_transport.Socket.Handle) > 0;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    /// <summary>Whether an idle connection is as it was left. The end of it, or bytes that nobody asked for, mean that it is of no more use.</summary>
    public bool IsQuiet()
    {
        try
        {
            if (HasBuffered || _abortedFor is not null)
                return false;
            if (!_transport.Socket.Poll(0, SelectMode.SelectRead))
                return true;
            if (_stream == _transport)
                return false;
            // With TLS it may be a session ticket, which is none of our business: whoever reads next gets what this read brings.
            _buffer ??= ArrayPool<byte>.Shared.Rent(BufferSize);
            (_start, _end) = (0, 0);
            _early = _stream.ReadAsync(_buffer.AsMemory()).AsTask();
            return !_early.IsCompleted;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Sends all of it.</summary>
    /// <exception cref="IOException">The server is gone.</exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes) => _stream.WriteAsync(bytes);

    /// <summary>Tells the server that no more will come; it may go on sending.</summary>
    public async ValueTask EndOutputAsync()
    {
        if (Interlocked.Exchange(ref _isOutputEnded, 1) != 0)
            return;
        if (_stream is SslStream tls)
            await TlsEnd.SayAsync(tls);
        else
            _transport.Socket.Shutdown(SocketShutdown.Send);
    }

    /// <summary>Does so without waiting, with TLS and beneath it, as a client does that closes its connection. Nobody writes meanwhile or afterwards.</summary>
    public void EndRequests() => _ = EndRequestsAsync();

    private async Task EndRequestsAsync()
    {
        try
        {
            await EndOutputAsync();
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // The server has ended it, or hears it beneath TLS.
        }

        try
        {
            _transport.Socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has.
        }
    }

    /// <summary>Whether the server's machine has received all that was sent, and the end of it.</summary>
    public bool HasHeardEnd => TcpInfo.Of(_transport.Socket) is not { IsEndAcknowledged: false };

    /// <summary>Reads the next head into <see cref="Head"/>, interim or final.</summary>
    /// <exception cref="HttpIOException">The connection ended before.</exception>
    /// <exception cref="MalformedMessageException">It is no head.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadHeadAsync()
    {
        while (true)
        {
            if (HasBuffered && Head.Read(_buffer.AsSpan(_start, _end - _start), ref _scanned) is var taken and > 0)
            {
                _start += taken;
                return;
            }

            if (await FillAsync() == 0)
                throw Ended();
        }
    }

    /// <summary>Waits until there is something to read, without a buffer of the caller's being held for it.</summary>
    public ValueTask WaitAsync() => HasBuffered || _early is not null ? default : WaitForBytesAsync();

    /// <summary>Reads some bytes of a body.</summary>
    /// <returns>0 at the end of the connection.</returns>
    public ValueTask<int> ReadAsync(Memory<byte> destination)
    {
        if (!HasBuffered && (destination.Length >= BufferSize && _early is null))
            return ReadDirectlyAsync(destination);
        return HasBuffered ? new(Take(destination.Span)) : FillAndTakeAsync(destination);
    }

    /// <summary>Reads more into the buffer.</summary>
    /// <returns>Bytes read; 0 at the end of the connection.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> FillAsync()
    {
        int count;
        try
        {
            if (_early is { } early)
            {
                count = Read(await early);
                (_early, _end) = (null, count);
            }
            else
            {
                MakeRoom();
                count = Read(await _stream.ReadAsync(_buffer.AsMemory(_end)));
                _end += count;
            }
        }
        catch (Exception e) when (_abortedFor is not null && e is IOException or ObjectDisposedException or SocketException)
        {
            throw Reason(e);
        }

        HasAnswered |= count > 0;
        return count;
    }

    /// <summary>What has been read and not used; <see cref="Consume"/> says how much of it is.</summary>
    public ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _end - _start);

    public void Consume(int count) => _start += count;

    /// <summary>Gives the buffer back; nothing may be left in it.</summary>
    public void Rest()
    {
        if (_buffer is not null && !HasBuffered && _early is null)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            (_buffer, _start, _end) = (null, 0, 0);
        }
    }

    /// <summary>Ends it now. Who waits for it gets <paramref name="reason"/>.</summary>
    public void Abort(Exception reason)
    {
        Interlocked.CompareExchange(ref _abortedFor, reason, null);
        _transport.Dispose();
    }

    /// <summary>Does so as a client that is gone does: the server learns it by a reset, and not that everything had been said.</summary>
    public void Reset(Exception reason)
    {
        Interlocked.CompareExchange(ref _abortedFor, reason, null);
        try
        {
            _transport.Socket.LingerState = new LingerOption(true, 0);
            // The stream would say the end in order first.
            _transport.Socket.Dispose();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended by itself.
        }

        Abort(reason);
    }

    /// <summary>Ends it when its <see cref="Deadline"/> has passed.</summary>
    public void CheckDeadline(long now)
    {
        if (now > Deadline)
            Abort(new TimeoutException($"{Origin.Target.Host} did not answer in time."));
    }

    /// <summary>Why an operation failed: what it was aborted for, or else what it says itself.</summary>
    public Exception Reason(Exception failure) => _abortedFor ?? failure;

    public static HttpIOException Ended() => new(HttpRequestError.ResponseEnded, "the connection was closed before the answer was complete");

    public void Dispose()
    {
        // A buffer that a read may still be about to write to is left to the collector.
        if (_early is null)
        {
            (_start, _end) = (0, 0);
            Rest();
        }

        _transport.Dispose();
        _stream.Dispose();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitForBytesAsync()
    {
        try
        {
            _ = await _stream.ReadAsync(Memory<byte>.Empty);
        }
        catch (Exception e) when (_abortedFor is not null && e is IOException or ObjectDisposedException or SocketException)
        {
            throw Reason(e);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadDirectlyAsync(Memory<byte> destination)
    {
        try
        {
            return Read(await _stream.ReadAsync(destination));
        }
        catch (Exception e) when (_abortedFor is not null && e is IOException or ObjectDisposedException or SocketException)
        {
            throw Reason(e);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> FillAndTakeAsync(Memory<byte> destination) => await FillAsync() == 0 ? 0 : Take(destination.Span);

    // Ended from here, a connection may look to its reader as if the server had ended it in order.
    private int Read(int count) => count == 0 && _abortedFor is { } reason ? throw reason : count;

    private int Take(Span<byte> destination)
    {
        var count = Math.Min(destination.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(destination);
        _start += count;
        return count;
    }

    private void MakeRoom()
    {
        _buffer ??= ArrayPool<byte>.Shared.Rent(BufferSize);
        if (_start == _end)
            (_start, _end) = (0, 0);
        if (_end < _buffer.Length)
            return;
        var larger = _start > 0 ? _buffer : ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        _buffer.AsSpan(_start, _end - _start).CopyTo(larger);
        if (larger != _buffer)
            ArrayPool<byte>.Shared.Return(_buffer);
        (_buffer, _start, _end) = (larger, 0, _end - _start);
    }
}
