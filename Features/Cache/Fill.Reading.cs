namespace Discobot.Features.Cache;

/// <summary>The reading side.</summary>
internal sealed partial class Fill
{
    // True when there is something at the reader's position, false at its end or that of the body.
    private async ValueTask<bool> WaitAsync(FillReader reader, long end, CancellationToken cancel)
    {
        while (true)
        {
            Task pulse;
            lock (_lock)
            {
                if (_failure is not null)
                    throw _failure;
                if (reader.Position < Math.Min(_published, end))
                    return true;
                if (_done || reader.Position >= end)
                    return false;
                pulse = _pulse.Task;
            }

            await pulse.WaitAsync(cancel);
        }
    }

    private int Read(FillReader reader, Span<byte> buffer, long end)
    {
        var from = reader.Position;
        var (chunk, to) = Locate(from, end);
        buffer = buffer[..(int)Math.Min(buffer.Length, to - from)];
        if (chunk is null)
            return RandomAccess.Read(_temporary.File, buffer, from) is var read and > 0
                ? read
                : throw new FillBrokenException("what was stored of the body cannot be read back");
        chunk.Slice(from, buffer.Length).CopyTo(buffer);
        chunk.Release();
        return buffer.Length;
    }

    // The chunk that holds a byte, acquired, or null when the file does, and up to where it does.
    private (FillChunk? Chunk, long To) Locate(long from, long end)
    {
        lock (_lock)
        {
            var to = Math.Min(_published, end);
            foreach (var chunk in _chunks)
            {
                if (from < chunk.Start)
                    return (null, Math.Min(to, chunk.Start));
                if (from < chunk.Start + FillChunk.Capacity)
                {
                    chunk.Acquire();
                    return (chunk, Math.Min(to, chunk.Start + FillChunk.Capacity));
                }
            }

            return (null, to);
        }
    }

    private void Advanced()
    {
        if (!_direct)
            return;
        lock (_lock)
            RemoveProcessed();
    }

    private void Leave(FillReader reader)
    {
        lock (_lock)
        {
            if (!_readers.Remove(reader))
                return;
            if (_direct)
                RemoveProcessed();
            CloseFileIfUnused();
        }

        Reconsider();
    }

    // A processed chunk is in the file; in direct mode it is nowhere else, and stays until the slowest reader has taken it.
    private void RemoveProcessed()
    {
        var needed = long.MaxValue;
        if (_direct)
        {
            foreach (var reader in _readers)
                needed = Math.Min(needed, reader.Position);
        }

        _chunks.RemoveAll(chunk =>
        {
            if (!chunk.Processed || (chunk.End > _inFile && chunk.End > needed))
                return false;
            chunk.Release();
            return true;
        });
        if (!_chunks.Exists(c => c.Processed))
            _drained.TrySetResult();
    }

    // Waits, in direct mode, until every reader has taken every chunk that was published.
    private Task DrainedAsync()
    {
        lock (_lock)
        {
            if (!_direct || !_chunks.Exists(c => c.Processed))
                return Task.CompletedTask;
            _drained = NewPulse();
            return _drained.Task.WaitAsync(_cancel.Token);
        }
    }

    /// <summary>One client's place in the body.</summary>
    internal sealed class FillReader(Fill fill, long from) : IBodyReader
    {
        private long _position = from;

        public long Position => Volatile.Read(ref _position);

        public ValueTask<bool> WaitAsync(long end, CancellationToken cancel) => fill.WaitAsync(this, end, cancel);

        public int Read(Span<byte> buffer, long end)
        {
            var read = fill.Read(this, buffer, end);
            Volatile.Write(ref _position, _position + read);
            fill.Advanced();
            return read;
        }

        public void Dispose() => fill.Leave(this);
    }
}
