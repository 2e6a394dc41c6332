using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Discobot.Features.Cache.Downloads;

/// <summary>
/// One download of a missing body, shared by everyone who asks for its address. A pump reads upstream into large chunks, hashes them and writes
/// them to a temporary file, one chunk ahead of the other. The end is published only after the digest was looked at, so a body put together from
/// several answers that turns out wrong never looks complete. One answer that is not what its address names is passed on as it came, as
/// without a cache, and not stored.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The pump disposes what it uses when the download is over.")]
internal sealed partial class Fill
{
    // What has been read is published when a chunk is full or, if upstream pauses, after this long: few hand-overs, little delay.
    private const int FlushDelayMilliseconds = 2;

    // Nobody reads it and nothing comes.
    private static readonly TimeSpan Forsaken = TimeSpan.FromSeconds(5);

    private readonly FillRequest _request;
    private readonly FillContext _context;
    private readonly TemporaryBody _temporary;
    private readonly CancellationTokenSource _cancel = new();
    private readonly FillSource _source;
    private readonly SharedBody _body;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalHash? _named;
    private readonly Timer _flush;
    private int _flushArmed;
    private volatile bool _passOnly;
    private StoredBody? _stored;

    public Fill(FillRequest request, HttpResponseMessage response, TemporaryBody temporary, FillContext context)
    {
        (_request, _temporary, _context) = (request, temporary, context);
        _source = new FillSource(request, response, context, _cancel.Token);
        _body = new SharedBody(temporary.File, Reconsider);
        AllHeaders = EndToEnd.Headers(response);
        Headers = EndToEnd.Storable(AllHeaders, cookies: false);
        Length = response.Content.Headers.ContentLength;
        Status = (int)response.StatusCode;
        _named = request.Integrity is { } integrity ? IncrementalHash.CreateHash(integrity.Algorithm) : null;
        _flush = new Timer(static fill => ((Fill)fill!).Flush(), this, Timeout.Infinite, Timeout.Infinite);
        var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Completion = PumpAsync(begin.Task);
        request.Begun?.Invoke(this, temporary);
        begin.SetResult();
    }

    public CacheTarget Target => _request.Target;

    public FillRequest Request => _request;

    /// <summary>The reader of whoever caused the download.</summary>
    public IBodyReader First => _body.First;

    /// <summary>The header fields for whoever caused the download: all that upstream sent.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> AllHeaders { get; }

    /// <summary>The header fields for everybody else: what is stored beside the body.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    /// <summary>Of the answer.</summary>
    public int Status { get; }

    /// <summary>Bytes of the whole body as announced; null when upstream did not say.</summary>
    public long? Length { get; }

    /// <summary>Bytes that are in its file; more than that have been read.</summary>
    public long InFile => _body.InFile;

    /// <summary>Whether nothing more is written to its file.</summary>
    public bool IsDirect => _body.IsDirect;

    /// <summary>Whether it was right and has been stored; known when it is over.</summary>
    public bool IsStored => Volatile.Read(ref _stored) is not null;

    /// <summary>Completes, never faulted, when the download is over and, if it was right, answers from the index.</summary>
    public Task Completion { get; }

    /// <summary>How long upstream has sent nothing.</summary>
    public TimeSpan SilentFor => _source.SilentFor;

    /// <summary>Whether nobody reads it and upstream has been silent for some time.</summary>
    public bool IsForsaken => !_body.HasReaders && !_body.IsDone && SilentFor > Forsaken;

    /// <summary>Joins as a reader.</summary>
    /// <param name="from">Where to begin reading.</param>
    /// <returns>Null when that is not there yet or the fill is over: look into the store, or ask upstream.</returns>
    public IBodyReader? TryJoin(long from) => _cancel.IsCancellationRequested ? null : _body.TryJoin(from);

    /// <summary>The rest of the body for one reader alone, who need not wait for this download.</summary>
    /// <returns>Null where nothing guarantees that it would be the rest of the same body.</returns>
    public FillSource? Rest(FillRequest request, long from, CancellationToken cancel) =>
        _source.CanBeResumed ? new FillSource(_source, request, from, cancel) : null;

    /// <summary>Ends the download if nobody reads it and it is not worth finishing.</summary>
    public void Reconsider()
    {
        if (!IsWorthFinishing && !_body.HasReaders && !_body.IsDone)
            _cancel.Cancel();
    }

    /// <summary>Passes on what is still to come and stores nothing: the origin has changed what is there.</summary>
    public void DoNotStore() => _passOnly = true;

    /// <summary>Ends the download whoever reads it: the process stops, or the rules forbid it.</summary>
    public void Cancel() => _cancel.Cancel();

    /// <summary>Whether it was ended here, and not by upstream or by what came.</summary>
    public bool IsCancelled => _cancel.IsCancellationRequested;

    /// <summary>Breaks off a read that has brought nothing for too long; the rest is asked for again, if it can be.</summary>
    public void CheckStalled(TimeSpan limit) => _source.CheckStalled(limit);

    // What a tier sends was sent so by no origin either.
    private bool IsPutTogether => _source.IsResumed || _request.Tier is not null;

    private string Path => _request.Target.Key.Address;

    // More than half done, or small: the next client will thank us. In direct mode nothing is kept, so there is nothing to finish.
    private bool IsWorthFinishing => !_body.IsDirect
        && (Math.Max(Length ?? 0, _source.Position) <= _request.Options.FillAfterAbort || (Length is { } length && _source.Position > length / 2));

    private async Task PumpAsync(Task begin)
    {
        await begin.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await CopyAsync();
            Finish();
            await _body.DrainedAsync(_cancel.Token);
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
            _named?.Dispose();
            _body.Close(_stored is { } stored ? stored.Release : _temporary.File.Dispose);
        }
    }

    private async Task CopyAsync()
    {
        var processing = Task.CompletedTask;
        try
        {
            for (var more = true; more;)
            {
                if (_body.IsDirect)
                    await _body.DrainedAsync(_cancel.Token);
                var chunk = _body.AddChunk(_source.Position);
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

        _body.Publish(chunk.End);
        return true;
    }

    private void Process(FillChunk chunk)
    {
        var content = chunk.Content.Span;
        _hash.AppendData(content);
        _named?.AppendData(content);
        if (!_body.IsDirect)
            Write(chunk, content);
        _body.Processed(chunk);
    }

    private void Write(FillChunk chunk, ReadOnlySpan<byte> content)
    {
        try
        {
            if (CacheEntry.Smallest(chunk.End) > _request.Options.MaxSize)
                throw new IOException("it is larger than the cache (cache.max_size)");
            DiskFailure.Write(_temporary.File, content, chunk.Start);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogNotStored(_context.Log, Path, e.Message, _request.Client.Id);
            _body.GoDirect();
        }
    }

    private void Flush()
    {
        Volatile.Write(ref _flushArmed, 0);
        var read = _source.Position;
        // The end waits for its verification.
        if (read != Length)
            _body.Publish(read);
    }

    private void Finish()
    {
        Span<byte> bytes = stackalloc byte[Hash256.Size];
        _hash.GetHashAndReset(bytes);
        var actual = Hash256.Read(bytes);
        var right = _request.Target.Expected is not { } expected || expected == actual;
        if (!right)
            Mismatch(actual);
        right = right && IsAsNamed();
        if (right && !_body.IsDirect && !_passOnly && !_cancel.IsCancellationRequested)
            Store(actual);
        else
            _temporary.Delete();
        _body.End(_source.Position, null);
    }

    // A registry may have changed the file since its index was made, or the other way round: who asked judges that.
    private bool IsAsNamed()
    {
        if (_request.Integrity is not { } integrity)
            return true;
        var digest = _named!.GetHashAndReset();
        if (integrity.IsMetBy(digest))
            return true;
        if (IsPutTogether)
        {
            _context.Stats.Error();
            throw new FillBrokenException($"the body is {integrity.Write(digest)}, its index names {integrity}, and it came in several pieces");
        }

        LogNotStored(_context.Log, Path, $"it is {integrity.Write(digest)}, and its index names {integrity}", _request.Client.Id);
        return false;
    }

    // A manifest of schema 1 is named by the digest of its payload, without the signatures that it carries; and an origin may be wrong. Who asked
    // judges that, as without a cache. What was put together here is another matter: nobody sent it so.
    private void Mismatch(Hash256 actual)
    {
        _request.Tier?.Wrong?.Invoke();
        if (IsPutTogether)
        {
            _context.Stats.Error();
            throw new FillBrokenException($"the body's SHA-256 is {actual}, not the one its address names, and it came in several pieces");
        }

        if (_request.Target.Digest is { IsAddress: true })
            LogNotStored(_context.Log, Path, $"its SHA-256 is {actual}, not the one its address names", _request.Client.Id);
    }

    private void Store(Hash256 digest)
    {
        var (target, source) = (_request.Target, _request.Target.Source);
        var own = target.Storable ? Record(target, digest, Headers) : Neutral(source!, digest);
        if (own is not null && _request.Head is { } head)
            own = head with { Size = own.Size, Digest = own.Digest };
        if (own is null)
        {
            _temporary.Delete();
            return;
        }

        _stored = _context.Store.Add(_temporary, own, target.Expected is null || !_context.Tiers.Any ? null
            : path => _context.Tiers.Offer(digest, path, own.Size, _request.Tier?.From));
        _request.Stored?.Invoke(_stored);
        if (target.Storable && source is not null && Neutral(source, digest) is { } second)
            _context.Store.AddRecord(_stored.Entry, second);
        // Whoever changes what is there, looks for the record after having told this download.
        if (_passOnly)
        {
            _context.Store.Evict(_stored.Entry);
            _context.Store.Invalidate(source?.Key);
            return;
        }

        LogStored(_context.Log, own.Key, _source.Position, _request.Client.Id);
    }

    private EntryMetadata Record(CacheTarget target, Hash256 digest, IReadOnlyList<KeyValuePair<string, string>> headers) => new()
    {
        Key = target.Key.Text,
        Size = _source.Position,
        Digest = digest,
        StoredAt = _context.Time.GetUtcNow().ToUnixTimeMilliseconds(),
        Kind = target.Kind,
        Headers = headers,
    };

    // The registry that redirected here said nothing of the body but its digest.
    private EntryMetadata? Neutral(CacheTarget source, Hash256 digest) =>
        NeutralFields.Of(source.Kind, _temporary.File, _source.Position) is { } fields ? Record(source, digest, fields) : null;

    private void Fail(Exception e)
    {
        _temporary.Delete();
        var abandoned = _cancel.IsCancellationRequested;
        if (!abandoned)
            LogBroken(_context.Log, Path, e.Message, _request.Client.Id);
        _body.End(_source.Position, e as FillBrokenException ?? new FillBrokenException(abandoned ? "nobody was left to read it" : e.Message));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "cache store {Path} {Bytes} {Id}")]
    private static partial void LogStored(ILogger log, string path, long bytes, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache fill broken {Path} {Reason} {Id}")]
    private static partial void LogBroken(ILogger log, string path, string reason, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache passes through without storing {Path} {Reason} {Id}")]
    private static partial void LogNotStored(ILogger log, string path, string reason, string id);
}

/// <summary>The body cannot be completed: the client's connection is to be aborted, never ended as if all were well.</summary>
internal class FillBrokenException(string reason) : IOException(reason);
