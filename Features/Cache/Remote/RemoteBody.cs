namespace Discobot.Features.Cache.Remote;

/// <summary>
/// A body as it comes from the store. What has come already stands before what follows; a read for which nothing comes, or too little, fails, so that the
/// rest is asked of the origin.
/// </summary>
/// <param name="source">Disposed with it.</param>
/// <param name="content">Of the source.</param>
/// <param name="begun">What was read of it.</param>
/// <param name="breaker">How long may be waited for a stretch that is worth it; when it opens, the body ends.</param>
/// <param name="time">Of the waits.</param>
/// <param name="failed">Told once why it cannot go on, and how long was waited for that.</param>
/// <param name="slowed">Told how long a stretch was waited for.</param>
internal sealed class RemoteBody(
    RemoteObject source, Stream content, ReadOnlyMemory<byte> begun, CircuitBreaker breaker, TimeProvider time, Action<RemoteFailure, TimeSpan, string> failed, Action<TimeSpan, long> slowed) : Stream
{
    // Who brings less than this within the breaker's budget is slow: 64 KiB.
    private const int Least = 64 << 10;

    private readonly TimeSpan _limit = breaker.Budget;
    private readonly CancellationToken _opening = Begin(breaker);
    private bool _isOver;

    private ReadOnlyMemory<byte> _begun = begun;
    private long _missing = source.Length;
    private TimeSpan _waited;
    private int _brought;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_begun.IsEmpty)
        {
            var taken = Math.Min(_begun.Length, buffer.Length);
            _begun[..taken].CopyTo(buffer);
            (_begun, _missing) = (_begun[taken..], _missing - taken);
            return taken;
        }

        if (_missing == 0)
            return 0;
        if (_opening.IsCancellationRequested)
            throw LeftAlone();
        var start = time.GetTimestamp();
        try
        {
            var read = await ReadInTimeAsync(buffer, cancellationToken);
            Count(read, time.GetElapsedTime(start));
            _missing -= read;
            if (read == 0)
                throw new RemoteException(RemoteFailure.Unavailable, "it ended before it was complete");
            return read;
        }
        catch (Exception) when (_opening.IsCancellationRequested)
        {
            throw LeftAlone();
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            var failure = e is OperationCanceledException ? RemoteFailure.Slow : RemoteFailure.Unavailable;
            failed(failure, failure == RemoteFailure.Slow ? _limit : time.GetElapsedTime(start), e is OperationCanceledException ? "nothing more came" : e.Message);
            throw new RemoteException(failure, $"the remote store broke off: {(e is OperationCanceledException ? "nothing more came" : e.Message)}");
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            source.Dispose();
        if (disposing && !_isOver)
            breaker.Ended();
        _isOver = true;
        base.Dispose(disposing);
    }

    private static CancellationToken Begin(CircuitBreaker breaker)
    {
        breaker.Begun();
        return breaker.Opening;
    }

    // Another has found it slow or away: the rest comes from the origin, too.
    private static RemoteException LeftAlone() => new(RemoteFailure.Slow, "the remote store is left alone");

    private async ValueTask<int> ReadInTimeAsync(Memory<byte> buffer, CancellationToken cancel)
    {
        var reading = content.ReadAsync(buffer, cancel);
        if (reading.IsCompleted)
            return await reading;
        var bytes = reading.AsTask();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, _opening);
        try
        {
            return await bytes.WaitAsync(_limit - _waited, time, either.Token);
        }
        catch (Exception e) when (e is TimeoutException || _opening.IsCancellationRequested)
        {
            // The buffer is its owner's again when nobody writes to it any more.
            source.Dispose();
            await bytes.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            throw new OperationCanceledException();
        }
    }

    // A store that keeps sending a little is as good as one that sends nothing.
    private void Count(int read, TimeSpan waited)
    {
        _waited += waited;
        _brought += read;
        if (_brought >= Least)
        {
            slowed(_waited, _brought);
            (_brought, _waited) = (0, TimeSpan.Zero);
        }
        else if (_waited >= _limit)
            throw new OperationCanceledException();
    }
}
