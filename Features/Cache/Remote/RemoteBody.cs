namespace Discobot.Features.Cache.Remote;

/// <summary>
/// A body as it comes from the store. What has come already stands before what follows; a read for which nothing comes, or too little, fails, so that the
/// rest is asked of the origin.
/// </summary>
/// <param name="source">Disposed with it.</param>
/// <param name="content">Of the source.</param>
/// <param name="begun">What was read of it.</param>
/// <param name="limit">How long may be waited for a stretch that is worth it.</param>
/// <param name="time">Of the waits.</param>
/// <param name="failed">Told once why it cannot go on, and how long was waited for that.</param>
internal sealed class RemoteBody(RemoteObject source, Stream content, ReadOnlyMemory<byte> begun, TimeSpan limit, TimeProvider time, Action<RemoteFailure, TimeSpan, string> failed) : Stream
{
    /// <summary>Who brings less than this within <see cref="XX/> of waiting is slow: 64 KiB.</summary>
    private const int Least = 64 << 10;

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
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && e is IOException or HttpRequestException or OperationCanceledException)
        {
            var failure = e is OperationCanceledException ? RemoteFailure.Slow : RemoteFailure.Unavailable;
            failed(failure, failure == RemoteFailure.Slow ? limit : time.GetElapsedTime(start), e is OperationCanceledException ? "nothing more came" : e.Message);
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
        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadInTimeAsync(Memory<byte> buffer, CancellationToken cancel)
    {
        var reading = content.ReadAsync(buffer, cancel);
        if (reading.IsCompleted)
            return await reading;
        var bytes = reading.AsTask();
        try
        {
            return await bytes.WaitAsync(limit - _waited, time, cancel);
        }
        catch (TimeoutException)
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
            (_brought, _waited) = (0, TimeSpan.Zero);
        else if (_waited >= limit)
            throw new OperationCanceledException();
    }
}
