using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Credentials;

/// <summary>
/// An answer in which secrets are replaced while it is written. What is flushed leaves at once, but for an end that may be the beginning of a
/// secret: at most one byte less than its longest spelling, until the next bytes or the end say which it is.
/// </summary>
internal sealed class RedactedAnswer : PipeWriter, IHttpResponseBodyFeature
{
    private readonly HttpContext _context;
    private readonly Redaction _redaction;
    private readonly IHttpResponseBodyFeature _inner;
    private readonly ArrayBufferWriter<byte> _written = new();
    private RedactedTexts? _texts;
    private Stream? _stream;
    private bool _isDecided;
    private bool _isOver;

    /// <summary>Takes the place of the answer's body, before anything else is registered for its start: whatever is put on the head later is seen.</summary>
    public RedactedAnswer(HttpContext context, Redaction redaction)
    {
        (_context, _redaction, _inner) = (context, redaction, context.Features.GetRequiredFeature<IHttpResponseBodyFeature>());
        context.Features.Set<IHttpResponseBodyFeature>(this);
        context.Response.OnStarting(RedactHead);
    }

    public bool HasRedacted { get; private set; }

    public Stream Stream => _stream ??= this.AsStream(leaveOpen: true);

    public PipeWriter Writer => this;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _inner.Writer.UnflushedBytes + _written.WrittenCount;

    public override void Advance(int bytes)
    {
        if (_texts is null)
            _inner.Writer.Advance(bytes);
        else
            _written.Advance(bytes);
    }

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        Decide();
        return _texts is null ? _inner.Writer.GetMemory(sizeHint) : _written.GetMemory(sizeHint);
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        Decide();
        Redact(isLast: _isOver);
        return _inner.Writer.FlushAsync(cancellationToken);
    }

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        Decide();
        if (_texts is null)
            return _inner.Writer.WriteAsync(source, cancellationToken);
        _written.Write(source.Span);
        return FlushAsync(cancellationToken);
    }

    public override void CancelPendingFlush() => _inner.Writer.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => _inner.Writer.Complete(exception);

    public void DisableBuffering() => _inner.DisableBuffering();

    public Task StartAsync(CancellationToken cancellationToken = default)
    {
        Decide();
        return _inner.StartAsync(cancellationToken);
    }

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default)
    {
        Decide();
        return _texts is null ? _inner.SendFileAsync(path, offset, count, cancellationToken) : SendFileFallback.SendFileAsync(Stream, path, offset, count, cancellationToken);
    }

    public async Task CompleteAsync()
    {
        await EndAsync();
        await _inner.CompleteAsync();
    }

    /// <summary>Nothing more comes that could make a secret of what was held back; what is written yet is no part of one. Never fails.</summary>
    public ValueTask EndAsync()
    {
        if (_isOver)
            return ValueTask.CompletedTask;
        _isOver = true;
        if (_context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is { IsReadOnly: false, Count: > 0 } trailers)
            HasRedacted |= _redaction.Redact(trailers);
        if (_texts is null || _written.WrittenCount == 0)
            return ValueTask.CompletedTask;
        Redact(isLast: true);
        // Where the server broke off, what it said until then leaves now; else with the end, in one piece.
        return _context.Response.HasStarted ? new ValueTask(_inner.Writer.FlushAsync().AsTask()) : ValueTask.CompletedTask;
    }

    private Task RedactHead()
    {
        Decide();
        HasRedacted |= _redaction.Redact(_context.Response.Headers);
        if (_context.Features.Get<IHttpResponseFeature>() is { ReasonPhrase: { } reason } answer && _redaction.Filter(reason) is var shown && shown != reason)
            (answer.ReasonPhrase, HasRedacted) = (shown, true);
        return Task.CompletedTask;
    }

    // Once the head is as it leaves: whoever writes a body has said before what it is.
    private void Decide()
    {
        if (_isDecided || _context.Response.HasStarted)
            return;
        _isDecided = true;
        _texts = _redaction.OfBody(_context.Response);
    }

    private void Redact(bool isLast)
    {
        if (_texts is null || _written.WrittenCount == 0)
            return;
        var (held, replaced) = _texts.Copy(_written.WrittenSpan, isLast, _inner.Writer);
        HasRedacted |= replaced;
        var rest = _written.WrittenSpan[^held..].ToArray();
        _written.ResetWrittenCount();
        _written.Write(rest);
    }
}
