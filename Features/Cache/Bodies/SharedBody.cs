using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Bodies;

/// <summary>
/// A body while it arrives: what of it is in memory, what is in its file, how much was published, and who reads it. Readers take from memory
/// while they keep up and from the file when they lag. All of that state is guarded by the one lock here; no file is read under it.
/// </summary>
/// <remarks>
/// When the disk fails or the body outgrows the cache, it goes on in *direct* mode: nothing is written any more, each chunk waits in memory until
/// all readers have taken it, and the stretch already in the file still serves those who lag.
/// </remarks>
internal sealed class SharedBody
{
    private readonly Lock _lock = new();
    private readonly SafeFileHandle _file;
    private readonly Action _readerLeft;
    private readonly List<FillChunk> _chunks = [];
    private readonly HashSet<Reader> _readers = [];
    private TaskCompletionSource _pulse = NewPulse();
    private TaskCompletionSource _drained = NewPulse();
    private Action? _release;
    private long _published;
    private long _inFile;
    private bool _direct;
    private bool _done;
    private FillBrokenException? _failure;

    /// <param name="file">Where it is written; kept open until the last reader has left.</param>
    /// <param name="readerLeft">Called after each reader that leaves.</param>
    public SharedBody(SafeFileHandle file, Action readerLeft)
    {
        (_file, _readerLeft) = (file, readerLeft);
        First = new Reader(this, 0);
        _readers.Add(First);
    }

    /// <summary>The reader of whoever caused the download, in place before the first byte is read.</summary>
    public Reader First { get; }

    public bool HasReaders { get { lock (_lock) return _readers.Count > 0; } }

    public bool IsDone { get { lock (_lock) return _done; } }

    /// <summary>Bytes in the file.</summary>
    public long InFile { get { lock (_lock) return _inFile; } }

    /// <summary>Whether nothing more is written to the file.</summary>
    public bool IsDirect => Volatile.Read(ref _direct);

    /// <summary>Joins as a reader.</summary>
    /// <returns>Null when what is at <paramref name="from"/> is not there yet, or the body is over.</returns>
    public Reader? TryJoin(long from)
    {
        lock (_lock)
        {
            if (_done || _direct || from > _published)
                return null;
            var reader = new Reader(this, from);
            _readers.Add(reader);
            return reader;
        }
    }

    public FillChunk AddChunk(long start)
    {
        var chunk = new FillChunk(start);
        lock (_lock)
            _chunks.Add(chunk);
        return chunk;
    }

    /// <summary>From now on memory alone carries it.</summary>
    public void GoDirect()
    {
        lock (_lock)
            Volatile.Write(ref _direct, true);
    }

    /// <summary>A chunk was hashed and, unless the body is direct, written: it may leave the memory.</summary>
    public void Processed(FillChunk chunk)
    {
        lock (_lock)
        {
            chunk.Processed = true;
            if (!_direct)
                _inFile = chunk.End;
            RemoveProcessed();
        }
    }

    /// <summary>Lets readers have what was read up to here.</summary>
    public void Publish(long position)
    {
        TaskCompletionSource pulse;
        lock (_lock)
        {
            if (position <= _published)
                return;
            _published = position;
            (pulse, _pulse) = (_pulse, NewPulse());
        }

        pulse.SetResult();
    }

    /// <summary>Publishes the end, or that there will be none.</summary>
    public void End(long length, FillBrokenException? failure)
    {
        TaskCompletionSource pulse;
        lock (_lock)
        {
            (_failure, _published, _done) = (failure, length, true);
            (pulse, _pulse) = (_pulse, NewPulse());
        }

        pulse.SetResult();
    }

    /// <summary>Waits, in direct mode, until every reader has taken every chunk that was published.</summary>
    public Task DrainedAsync(CancellationToken cancel)
    {
        lock (_lock)
        {
            if (!_direct || !_chunks.Exists(c => c.Processed))
                return Task.CompletedTask;
            _drained = NewPulse();
            return _drained.Task.WaitAsync(cancel);
        }
    }

    /// <summary>Lets go of the memory now and of the file with the last reader.</summary>
    /// <param name="release">Gives the file back to its owner.</param>
    public void Close(Action release)
    {
        lock (_lock)
        {
            _chunks.ForEach(c => c.Release());
            _chunks.Clear();
            _release = release;
        }

        ReleaseIfUnused();
    }

    private void ReleaseIfUnused()
    {
        Action? release = null;
        lock (_lock)
        {
            if (_readers.Count == 0)
                (release, _release) = (_release, null);
        }

        release?.Invoke();
    }

    // True when there is something at the reader's position, false at its end or that of the body.
    private async ValueTask<bool> WaitAsync(Reader reader, long end, CancellationToken cancel)
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

    private int Read(Reader reader, Span<byte> buffer, long end)
    {
        var from = reader.Position;
        var (chunk, to) = Locate(from, end);
        buffer = buffer[..(int)Math.Min(buffer.Length, to - from)];
        if (chunk is null)
            return RandomAccess.Read(_file, buffer, from) is var read and > 0
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
        if (!IsDirect)
            return;
        lock (_lock)
            RemoveProcessed();
    }

    private void Leave(Reader reader)
    {
        lock (_lock)
        {
            if (!_readers.Remove(reader))
                return;
            if (_direct)
                RemoveProcessed();
        }

        ReleaseIfUnused();
        _readerLeft();
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

    private static TaskCompletionSource NewPulse() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>One client's place in the body.</summary>
    internal sealed class Reader(SharedBody body, long from) : IBodyReader
    {
        private long _position = from;

        public long Position => Volatile.Read(ref _position);

        public ValueTask<bool> WaitAsync(long end, CancellationToken cancel) => body.WaitAsync(this, end, cancel);

        public int Read(Span<byte> buffer, long end)
        {
            var read = body.Read(this, buffer, end);
            Volatile.Write(ref _position, _position + read);
            body.Advanced();
            return read;
        }

        public void Dispose() => body.Leave(this);
    }
}
