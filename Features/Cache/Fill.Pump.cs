using System.Security.Cryptography;

namespace Discobot.Features.Cache;

/// <summary>The writing side: upstream to memory, memory to hash and file, one chunk ahead of the other.</summary>
internal sealed partial class Fill
{
    // What has been read is published when a chunk is full or, if upstream pauses, after this long: few hand-overs, little delay.
    private const int FlushDelayMilliseconds = 2;

    private readonly FillSource _source;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly Timer _flush;
    private int _flushArmed;

    private string Path => _request.Target.Key.Text;

    private async Task PumpAsync()
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await CopyAsync();
            Finish();
            await DrainedAsync();
        }
        catch (Exception e)
        {
            Fail(e);
        }
        finally
        {
            await _flush.DisposeAsync();
            _source.Dispose();
            _hash.Dispose();
            Close();
        }
    }

    private async Task CopyAsync()
    {
        var processing = Task.CompletedTask;
        try
        {
            for (var more = true; more;)
            {
                if (_direct)
                    await DrainedAsync();
                var chunk = AddChunk();
                more = await FillAsync(chunk);
                await processing;
                processing = Task.Run(() => Process(chunk));
            }

            // What follows uses the disk as well: not on a thread that sockets wait for (EventThreads).
            await processing.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        }
        finally
        {
            await processing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // False at the end of the body, whose last stretch Finish publishes.
    private async ValueTask<bool> FillAsync(FillChunk chunk)
    {
        while (chunk.Filled < FillChunk.Capacity)
        {
            var reading = _source.ReadAsync(chunk.Free);
            if (!reading.IsCompleted && Interlocked.Exchange(ref _flushArmed, 1) == 0)
                _flush.Change(FlushDelayMilliseconds, Timeout.Infinite);
            var read = await reading;
            if (read == 0)
                return false;
            chunk.Filled += read;
            if (_source.Position == Length)
                return false;
        }

        Publish(chunk.End);
        return true;
    }

    private FillChunk AddChunk()
    {
        var chunk = new FillChunk(_source.Position);
        lock (_lock)
            _chunks.Add(chunk);
        return chunk;
    }

    private void Process(FillChunk chunk)
    {
        var content = chunk.Content.Span;
        _hash.AppendData(content);
        if (!_direct)
            Write(chunk, content);
        lock (_lock)
        {
            chunk.Processed = true;
            if (!_direct)
                _inFile = chunk.End;
            RemoveProcessed();
        }
    }

    private void Write(FillChunk chunk, ReadOnlySpan<byte> content)
    {
        try
        {
            if (chunk.End > _request.Options.MaxSize)
                throw new IOException("it is larger than the cache (cache.max_size)");
            RandomAccess.Write(_temporary.File, content, chunk.Start);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotStored(_log, Path, e.Message);
            lock (_lock)
                _direct = true;
        }
    }

    private void Flush()
    {
        Volatile.Write(ref _flushArmed, 0);
        var read = _source.Position;
        // The end waits for its verification.
        if (read != Length)
            Publish(read);
    }

    private void Publish(long position)
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
}
