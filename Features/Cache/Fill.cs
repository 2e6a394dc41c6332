using System.Diagnostics.CodeAnalysis;

namespace Discobot.Features.Cache;

/// <summary>
/// One download of a missing entry, shared by everyone who asks for it. A pump reads upstream into large chunks, hashes them and writes them to
/// a temporary file; readers take what was read so far, from memory while they keep up and from the file when they lag. The end of the body is
/// published only after length and digest were found right, so nobody ever receives a wrong body that looks complete.
/// </summary>
/// <remarks>
/// When the disk fails or the body outgrows the cache, the fill goes on in *direct* mode: nothing is stored any more, each chunk waits in memory
/// until all readers have taken it, and the stretch already in the file still serves those who lag.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "The pump disposes what it uses when the download is over.")]
internal sealed partial class Fill
{
    private readonly Lock _lock = new();
    private readonly FillRequest _request;
    private readonly CacheStore _store;
    private readonly TemporaryBody _temporary;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _cancel = new();
    private readonly List<FillChunk> _chunks = [];
    private readonly HashSet<FillReader> _readers = [];
    private TaskCompletionSource _pulse = NewPulse();
    private TaskCompletionSource _drained = NewPulse();
    private StoredBody? _stored;
    private long _published;
    private long _inFile;
    private bool _direct;
    private bool _done;
    private bool _closed;
    private FillBrokenException? _failure;

    public Fill(FillRequest request, HttpResponseMessage response, TemporaryBody temporary, CacheStore store, ILogger log)
    {
        (_request, _temporary, _store, _log) = (request, temporary, store, log);
        _source = new FillSource(request, response, _cancel.Token);
        AllHeaders = EndToEnd.Headers(response);
        Headers = EndToEnd.Storable(AllHeaders, cookies: request.Target.Digest is null);
        Length = response.Content.Headers.ContentLength;
        _flush = new Timer(static fill => ((Fill)fill!).Flush(), this, Timeout.Infinite, Timeout.Infinite);
        First = new FillReader(this, 0);
        _readers.Add(First);
        Completion = PumpAsync();
    }

    /// <summary>The reader of whoever caused the download, in place before the first byte is read.</summary>
    public FillReader First { get; }

    /// <summary>The header fields for whoever caused the download: all that upstream sent.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> AllHeaders { get; }

    /// <summary>The header fields for everybody else: what is stored beside the body.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    /// <summary>Bytes of the whole body as announced; null when upstream did not say.</summary>
    public long? Length { get; }

    /// <summary>Completes, never faulted, when the download is over and, if it was right, answers from the index.</summary>
    public Task Completion { get; }

    /// <summary>Joins as a reader.</summary>
    /// <param name="from">Where to begin reading.</param>
    /// <returns>Null when that is not there yet or the fill is over: look into the store, or ask upstream.</returns>
    public FillReader? TryJoin(long from)
    {
        lock (_lock)
        {
            if (_done || _direct || _cancel.IsCancellationRequested || from > _published)
                return null;
            var reader = new FillReader(this, from);
            _readers.Add(reader);
            return reader;
        }
    }

    /// <summary>Ends the download if nobody reads it and it is not worth finishing. For those who waited for it and went away.</summary>
    public void Reconsider()
    {
        lock (_lock)
        {
            if (_readers.Count == 0 && !_done && !IsWorthFinishing)
                _cancel.Cancel();
        }
    }

    /// <summary>Ends the download whoever reads it: the process stops.</summary>
    public void Cancel() => _cancel.Cancel();

    /// <summary>Breaks off a read that has brought nothing for too long; the rest is asked for again, if it can be.</summary>
    public void CheckStalled(TimeSpan limit) => _source.CheckStalled(limit);

    // More than half done, or small: the next client will thank us. In direct mode nothing is kept, so there is nothing to finish.
    private bool IsWorthFinishing => !_direct
        && (Math.Max(Length ?? 0, _source.Position) <= _request.Options.FillAfterAbort || (Length is { } length && _source.Position > length / 2));

    private static TaskCompletionSource NewPulse() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [LoggerMessage(Level = LogLevel.Information, Message = "cache store {Path} {Bytes}")]
    private static partial void LogStored(ILogger log, string path, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache fill broken {Path} {Reason}")]
    private static partial void LogBroken(ILogger log, string path, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache passes through without storing {Path} {Reason}")]
    private static partial void LogNotStored(ILogger log, string path, string reason);
}

/// <summary>The body cannot be completed: the client's connection is to be aborted, never ended as if all were well.</summary>
internal sealed class FillBrokenException(string reason) : IOException(reason);
