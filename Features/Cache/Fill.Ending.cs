namespace Discobot.Features.Cache;

/// <summary>The end of a download: verified and stored, passed on only, or broken.</summary>
internal sealed partial class Fill
{
    private void Finish()
    {
        Span<byte> bytes = stackalloc byte[Hash256.Size];
        _hash.GetHashAndReset(bytes);
        var actual = Hash256.Read(bytes);
        var expected = _request.Target.Digest;
        var right = expected is null || expected.Value.Hash == actual;
        if (!right && expected!.Value.IsAddress)
        {
            _request.Stats.Error();
            throw new FillBrokenException($"the body's SHA-256 is {actual}, not the one its address names");
        }

        if (right && !_direct)
            Store(actual);
        else
            _temporary.Delete();
        End(null);
    }

    private void Store(Hash256 digest)
    {
        _stored = _store.Add(_temporary, new EntryMetadata
        {
            Key = Path,
            Size = _source.Position,
            Digest = digest,
            StoredAt = _request.Time.GetUtcNow().ToUnixTimeMilliseconds(),
            Kind = _request.Target.Kind,
            Headers = Headers,
        });
        LogStored(_log, Path, _source.Position);
    }

    private void Fail(Exception e)
    {
        _temporary.Delete();
        var abandoned = _cancel.IsCancellationRequested;
        if (!abandoned)
            LogBroken(_log, Path, e.Message);
        End(e as FillBrokenException ?? new FillBrokenException(abandoned ? "nobody was left to read it" : e.Message));
    }

    private void End(FillBrokenException? failure)
    {
        TaskCompletionSource pulse;
        lock (_lock)
        {
            _failure = failure;
            _published = _source.Position;
            _done = true;
            (pulse, _pulse) = (_pulse, NewPulse());
        }

        pulse.SetResult();
    }

    // Lets go of memory and, once the last reader has left, of the file.
    private void Close()
    {
        lock (_lock)
        {
            _closed = true;
            _chunks.ForEach(c => c.Release());
            _chunks.Clear();
            CloseFileIfUnused();
        }
    }

    private void CloseFileIfUnused()
    {
        if (!_closed || _readers.Count > 0)
            return;
        if (_stored is not null)
            _stored.Release();
        else
            _temporary.File.Dispose();
    }
}
