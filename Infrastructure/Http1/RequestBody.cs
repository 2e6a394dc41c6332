using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Discobot.Infrastructure.Http1;

/// <summary>The body of a client's request: the bytes where they lie in the connection's input, without what frames them. Read by one at a time;
/// <see cref="CancelPendingRead"/> may come from anywhere.</summary>
internal sealed class RequestBody(PipeReader input) : PipeReader
{
    private readonly ChunkedDecoder _chunks = new(Strictness.Request);
    private ReadOnlySequence<byte> _shown;
    private BodyEnd _end;
    private long _left;
    private volatile bool _isCanceled;

    /// <summary>Whether all of it has been read.</summary>
    public bool IsOver { get; private set; } = true;

    /// <summary>Whether any of it has arrived.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>Bytes of it that were read, without framing.</summary>
    public long Received { get; private set; }

    /// <summary>The fields after the body, once it has been read.</summary>
    public FieldLines? Trailers => _end == BodyEnd.Chunked ? _chunks.Trailers : null;

    /// <summary>Begins the body of another request.</summary>
    public void Begin(in BodyFraming framing)
    {
        (_end, _left, _isCanceled, HasBegun, IsOver) = (framing.End, framing.Length, false, false, framing.End == BodyEnd.None);
        Received = 0;
        if (_end == BodyEnd.Chunked)
            _chunks.Reset();
    }

    public override bool TryRead(out ReadResult result)
    {
        result = new ReadResult(default, isCanceled: false, isCompleted: true);
        if (IsOver)
            return true;
        while (input.TryRead(out var read))
        {
            if (TryShow(read, out result))
                return true;
        }

        return false;
    }

    /// <exception cref="IOException">The client is gone before its end, or it is malformed.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (IsOver)
            return new ReadResult(default, isCanceled: false, isCompleted: true);
        ReadResult result;
        while (!TryShow(await input.ReadAsync(cancellationToken), out result))
        {
        }

        return result;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (_shown.IsEmpty)
            return;
        var count = _shown.Slice(0, consumed).Length;
        _shown = default;
        input.AdvanceTo(consumed, examined);
        if (count == 0)
            return;
        Received += count;
        if (_end == BodyEnd.Chunked)
            _chunks.ReadData(count);
        else
            IsOver = (_left -= count) == 0;
    }

    public override void CancelPendingRead()
    {
        _isCanceled = true;
        input.CancelPendingRead();
    }

    /// <summary>The connection goes on: whatever is left is read by it.</summary>
    public override void Complete(Exception? exception = null)
    {
    }

    // False: more has to arrive. A read may be cancelled for the connection's own reasons, which are not the body's.
    private bool TryShow(in ReadResult read, out ReadResult result)
    {
        var buffer = read.Buffer;
        if (read.IsCanceled && _isCanceled)
        {
            _isCanceled = false;
            input.AdvanceTo(buffer.Start);
            result = new ReadResult(default, isCanceled: true, isCompleted: false);
            return true;
        }

        HasBegun |= !buffer.IsEmpty;
        if (_end == BodyEnd.Chunked && !TryUnframe(ref buffer))
        {
            input.AdvanceTo(buffer.Start);
            result = new ReadResult(default, isCanceled: false, isCompleted: IsOver);
            return IsOver || (read.IsCompleted ? throw Ended() : false);
        }

        var left = _end == BodyEnd.Chunked ? _chunks.DataLeft : _left;
        if (buffer.IsEmpty)
        {
            input.AdvanceTo(buffer.Start);
            result = default;
            return read.IsCompleted ? throw Ended() : false;
        }

        _shown = buffer.Slice(0, Math.Min(buffer.Length, left));
        result = new ReadResult(_shown, isCanceled: false, isCompleted: _end == BodyEnd.Length && _shown.Length == left);
        return true;
    }

    // Takes framing off the beginning; true when data follows.
    private bool TryUnframe(ref ReadOnlySequence<byte> buffer)
    {
        try
        {
            while (_chunks.DataLeft == 0 && !_chunks.IsDone && !buffer.IsEmpty)
                buffer = buffer.Slice(_chunks.Advance(buffer.FirstSpan));
        }
        catch (MalformedMessageException)
        {
            input.AdvanceTo(buffer.End);
            throw;
        }

        IsOver = _chunks.IsDone;
        return _chunks.DataLeft > 0;
    }

    private static IOException Ended() => new("the client ended it before it was complete");
}
