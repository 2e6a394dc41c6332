using System.Runtime.CompilerServices;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>
/// A connection of HTTP/2 carries many requests, and one whose peer vanished without a word would swallow all of them until TCP gives up, a
/// quarter of an hour later. So a server that says nothing for five seconds after it was asked something gets no more requests on this
/// connection: the pool is told that the server says goodbye (GOAWAY, RFC 9113, 6.8) and opens another one. Requests under way stay where they
/// are; the server may be slow and not dead. Frames of kinds that .NET does not know, such as ORIGIN (RFC 8336), are left out, as everybody is to ignore
/// them (RFC 9113, 5.5): it takes them for errors.
/// </summary>
/// <remarks>No ping is sent for it: servers that are silent on purpose, such as gRPC's, end connections that are pinged often.</remarks>
/// <param name="inner">Behind TLS.</param>
/// <param name="patience">Another limit than five seconds.</param>
/// <param name="trailers">Puts in what .NET does not send.</param>
internal sealed class Http2Doubt(Stream inner, TimeSpan? patience = null, RequestTrailers.Frames? trailers = null) : Stream
{
    // Length 8, type GOAWAY, stream 0; the last stream is the highest there can be, so that none is taken for unprocessed; NO_ERROR.
    private static readonly byte[] Goodbye = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

    private readonly TimeSpan _patience = patience ?? TimeSpan.FromSeconds(5);
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _doubt = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Received _received = new();
    // The connection preface (RFC 9113, 3.4) is no frame.
    private Frames _sent = new(preface: 24);
    private Task<int>? _waiting;
    private Timer? _timer;
    private bool _isDisposed;
    private long _asked;
    private int _goodbye = -1;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    // The pool waits with an empty buffer before it reads the head of the next frame: only then can something be put between two frames.
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_goodbye >= 0 && _goodbye < Goodbye.Length)
            return new(buffer.IsEmpty ? 0 : SayGoodbye(buffer.Span));
        if (buffer.IsEmpty)
            return WaitAsync(cancellationToken);
        if (_waiting is not null)
            return FinishWaitAsync(buffer, cancellationToken);
        return HearAsync(buffer, cancellationToken);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var sent = trailers?.Pass(buffer) ?? buffer;
        if (_sent.Pass(sent.Span))
            Ask();
        return inner.WriteAsync(sent, cancellationToken);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override void Flush() => inner.Flush();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            lock (_lock)
            {
                _isDisposed = true;
                _timer?.Dispose();
            }

            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> HearAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Who reads the head of a frame has room for all of it.
            var count = await inner.ReadAsync(buffer[_received.Held..], cancellationToken);
            if (count == 0)
                return 0;
            Volatile.Write(ref _asked, 0);
            if (_received.Keep(buffer.Span[..(_received.Held + count)]) is var kept and > 0)
                return kept;
        }
    }

    private ValueTask<int> WaitAsync(CancellationToken cancellationToken)
    {
        if (_waiting is null)
        {
            var wait = inner.ReadAsync(Memory<byte>.Empty, cancellationToken);
            if (wait.IsCompletedSuccessfully)
                return wait;
            _waiting = wait.AsTask();
        }

        return WaitOrDoubtAsync(_waiting);
    }

    private async ValueTask<int> WaitOrDoubtAsync(Task<int> waiting)
    {
        if (_goodbye < 0 && _received.IsBetween && await Task.WhenAny(waiting, _doubt.Task) != waiting)
        {
            _goodbye = 0;
            // It goes on, for the read after the goodbye. Should the connection be closed before, nobody hears of it.
            _ = waiting.ContinueWith(static w => w.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            return 0;
        }

        _waiting = null;
        return await waiting;
    }

    private async ValueTask<int> FinishWaitAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var waiting = _waiting!;
        _waiting = null;
        await waiting;
        return await HearAsync(buffer, cancellationToken);
    }

    private int SayGoodbye(Span<byte> buffer)
    {
        var part = Goodbye.AsSpan(_goodbye, Math.Min(buffer.Length, Goodbye.Length - _goodbye));
        part.CopyTo(buffer);
        _goodbye += part.Length;
        return part.Length;
    }

    private void Ask()
    {
        if (Interlocked.CompareExchange(ref _asked, Math.Max(1, Environment.TickCount64), 0) != 0 || _doubt.Task.IsCompleted)
            return;
        Watch(_patience);
    }

    // One timer runs as long as anything is asked; it is not set anew for each request.
    private void Watch(TimeSpan within)
    {
        lock (_lock)
        {
            if (!_isDisposed)
                _timer ??= new Timer(_ => Look(), null, within, Timeout.InfiniteTimeSpan);
        }
    }

    private void Look()
    {
        lock (_lock)
        {
            _timer?.Dispose();
            _timer = null;
        }

        var asked = Volatile.Read(ref _asked);
        if (asked == 0)
            return;
        var left = _patience - TimeSpan.FromMilliseconds(Environment.TickCount64 - asked);
        if (left > TimeSpan.Zero)
            Watch(left);
        else
            _doubt.TrySetResult();
    }

    /// <summary>Keeps of what arrives the frames that .NET knows, each head in one piece.</summary>
    private sealed class Received
    {
        private const int HeadSize = 9;
        private const byte LastKnown = 10;

        private readonly byte[] _head = new byte[HeadSize];
        private int _left;
        private bool _isUnknown;

        /// <summary>Bytes of a head that is not whole yet: those that come next belong behind them.</summary>
        public int Held { get; private set; }

        public bool IsBetween => _left == 0 && Held == 0;

        /// <param name="bytes">What has come, behind room for what was held.</param>
        /// <returns>How many remain, at the beginning.</returns>
        public int Keep(Span<byte> bytes)
        {
            _head.AsSpan(0, Held).CopyTo(bytes);
            var (from, to) = (0, 0);
            while (true)
            {
                var length = Math.Min(_left, bytes.Length - from);
                if (length == 0 && bytes.Length - from >= HeadSize)
                {
                    length = HeadSize;
                    _left = HeadSize + (bytes[from] << 16 | bytes[from + 1] << 8 | bytes[from + 2]);
                    _isUnknown = bytes[from + 3] > LastKnown;
                }

                if (length == 0)
                    break;
                if (!_isUnknown)
                {
                    bytes.Slice(from, length).CopyTo(bytes[to..]);
                    to += length;
                }

                (from, _left) = (from + length, _left - length);
            }

            bytes[from..].CopyTo(_head);
            Held = bytes.Length - from;
            return to;
        }
    }

    /// <summary>Follows frames (RFC 9113, 4.1: length, type, and six octets more) without reading what is in them.</summary>
    private struct Frames(int preface = 0)
    {
        private const int HeadSize = 9;
        private const byte Headers = 1;

        private int _left = preface;
        private int _length;
        private int _head;

        /// <returns>Whether a HEADERS frame is among them: of a client, a request.</returns>
        public bool Pass(ReadOnlySpan<byte> bytes)
        {
            var found = false;
            while (!bytes.IsEmpty)
            {
                if (_left > 0)
                {
                    var skipped = Math.Min(_left, bytes.Length);
                    _left -= skipped;
                    bytes = bytes[skipped..];
                    continue;
                }

                if (_head < 3)
                    _length = _length << 8 | bytes[0];
                else if (_head == 3)
                    found |= bytes[0] == Headers;
                bytes = bytes[1..];
                if (++_head < HeadSize)
                    continue;
                (_left, _length, _head) = (_length, 0, 0);
            }

            return found;
        }
    }
}
