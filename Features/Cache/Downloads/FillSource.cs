using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Downloads;

/// <summary>One download.</summary>
/// <param name="Target">The address and the digest it names.</param>
/// <param name="Client">The request that it was begun for: while the rules forbid it, there is no download either.</param>
/// <param name="CreateMessage">Makes the request to send, with the header rules of that moment: a credential may have changed since the last one.</param>
/// <param name="Options">As they were when it was begun.</param>
internal sealed record FillRequest(CacheTarget Target, ProxiedRequest Client, Func<HttpRequestMessage> CreateMessage, CacheOptions Options)
{
    /// <summary>What the answer's head told, where it counts beyond its fields.</summary>
    public EntryMetadata? Head { get; init; }

    /// <summary>Whether the answer is right for a request with these fields, too; null where it is for all.</summary>
    public Func<SelectingFields, CancellationToken, ValueTask<bool>>? Answers { get; init; }

    /// <summary>The address whose change makes it obsolete; null for that of the target.</summary>
    public Hash256? Resource { get; init; }

    /// <summary>When it was asked for (<see cref="Fills.Now"/>), where that was before the download began.</summary>
    public long? Asked { get; init; }

    /// <summary>What an index says of the body: one that is another is passed on and not stored.</summary>
    public Integrity? Integrity { get; init; }

    /// <summary>The tier's body that it comes from, for which its origin has vouched; null where the origin sends it.</summary>
    public TierBody? Tier { get; init; }

    /// <summary>Told of the download, and of the file that it is written to, before its first byte.</summary>
    public Action<Fill, TemporaryBody>? Begun { get; init; }

    /// <summary>Told of the body once it is stored, and before a reader can see its end.</summary>
    public Action<StoredBody>? Stored { get; init; }
}

/// <summary>What all downloads share.</summary>
internal sealed record FillContext(IUpstream Upstream, CacheStore Store, BodyTiers Tiers, CacheStats Stats, TimeProvider Time, ILogger Log);

/// <summary>
/// The body as upstream sends it. When the connection breaks, the rest is asked for with a Range request, provided that the digest in the
/// address or a strong validator (RFC 9110, 13.1.5) guarantees that it is the rest of the same body.
/// </summary>
internal sealed class FillSource : IDisposable
{
    private const int MaxTries = 5;

    private readonly FillRequest _request;
    private readonly FillContext _context;
    private readonly CancellationToken _cancel;
    private long? _length;
    private readonly EntityTagHeaderValue? _validator;
    private readonly string _coding;
    private HttpResponseMessage _response;
    private Stream _body;
    private CancellationTokenSource _stalled;
    private long _position;
    private long _lastProgress = Environment.TickCount64;
    private int _tries;
    private volatile bool _isWaiting;

    public FillSource(FillRequest request, HttpResponseMessage response, FillContext context, CancellationToken cancel)
    {
        (_request, _response, _context, _cancel) = (request, response, context, cancel);
        _length = response.Content.Headers.ContentLength;
        _validator = response.Headers.ETag is { IsWeak: false } tag ? tag : null;
        _coding = CodingOf(response);
        _body = response.Content.ReadAsStream(cancel);
        _stalled = CancellationTokenSource.CreateLinkedTokenSource(cancel);
    }

    /// <summary>The rest of the same body by a request of its own, which is sent when it is read.</summary>
    /// <param name="other">Where the head came from; its length is known.</param>
    /// <param name="request">Asks for the rest.</param>
    /// <param name="position">Where the rest begins.</param>
    /// <param name="cancel">Ends it.</param>
    public FillSource(FillSource other, FillRequest request, long position, CancellationToken cancel)
    {
        (_request, _context, _cancel) = (request, other._context, cancel);
        (_length, _validator, _coding, _position) = (other._length, other._validator, other._coding, position);
        // Ended already, and short of its length: the first read asks for the rest.
        (_response, _body) = (new HttpResponseMessage(), Stream.Null);
        _stalled = CancellationTokenSource.CreateLinkedTokenSource(cancel);
    }

    /// <summary>Whether something guarantees that what is asked for later belongs to the same body.</summary>
    public bool CanBeResumed => _length is not null && (_request.Target.Expected is not null || _validator is not null);

    /// <summary>Bytes read so far, across all connections.</summary>
    public long Position => Volatile.Read(ref _position);

    /// <summary>Whether more than one answer is in it.</summary>
    public bool IsResumed { get; private set; }

    /// <summary>How long nothing has come.</summary>
    public TimeSpan SilentFor => TimeSpan.FromMilliseconds(Environment.TickCount64 - Volatile.Read(ref _lastProgress));

    /// <summary>Reads the next bytes.</summary>
    /// <returns>0 at the end of the body.</returns>
    /// <exception cref="FillBrokenException">Upstream broke off and the rest cannot be had.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(Memory<byte> buffer)
    {
        while (true)
        {
            string reason;
            try
            {
                Volatile.Write(ref _lastProgress, Environment.TickCount64);
                _isWaiting = true;
                var read = await _body.ReadAsync(buffer, _stalled.Token);
                _isWaiting = false;
                if (read > 0 || _length is null || _position == _length)
                {
                    Volatile.Write(ref _position, _position + read);
                    Volatile.Write(ref _lastProgress, Environment.TickCount64);
                    _tries = 0;
                    return read;
                }

                reason = "upstream closed the connection before the body was complete";
            }
            catch (Exception e) when (!_cancel.IsCancellationRequested && e is IOException or HttpRequestException or OperationCanceledException)
            {
                reason = $"upstream broke off: {e.Message}";
            }

            await ResumeAsync(reason);
        }
    }

    /// <summary>Breaks off the read under way when it has brought nothing for <paramref name="limit"/>. Where nobody reads, as the client takes no
    /// more just now, it is not upstream that is silent.</summary>
    public void CheckStalled(TimeSpan limit)
    {
        if (_isWaiting && SilentFor > limit)
            _stalled.Cancel();
    }

    public void Dispose() => _response.Dispose();

    private async Task ResumeAsync(string reason)
    {
        while (true)
        {
            if (_request.Target.Expected is null && _validator is null)
                throw new FillBrokenException($"{reason}; nothing guarantees that the rest would fit (no digest, no strong ETag)");
            if (++_tries > MaxTries)
                throw new FillBrokenException($"{reason}; {MaxTries} attempts to get the rest failed");
            await Task.Delay(TimeSpan.FromMilliseconds(50 << _tries), _context.Time, _cancel);
            try
            {
                var response = await AskForRestAsync();
                if (await ContinuesAsync(response))
                {
                    _response.Dispose();
                    _response = response;
                    IsResumed = true;
                    return;
                }

                response.Dispose();
                throw new FillBrokenException($"{reason}; asked for the rest, upstream answered {(int)response.StatusCode}{(response.StatusCode == HttpStatusCode.PartialContent ? " of something else" : "")}");
            }
            catch (Exception e) when (!_cancel.IsCancellationRequested
                && e is HttpRequestException or OperationCanceledException or (IOException and not FillBrokenException))
            {
                reason = e.Message;
            }
        }
    }

    private async Task<HttpResponseMessage> AskForRestAsync()
    {
        using var message = _request.CreateMessage();
        message.Headers.Range = new RangeHeaderValue(Position, null);
        if (_validator is not null)
            message.Headers.IfRange = new RangeConditionHeaderValue(_validator);
        _stalled = CancellationTokenSource.CreateLinkedTokenSource(_cancel);
        Volatile.Write(ref _lastProgress, Environment.TickCount64);
        return await _context.Upstream.SendAsync(message, _stalled.Token);
    }

    // RFC 9110, 15.3.7.3: parts are joined when they have the same strong validator. Servers that ignore If-Range send a part of what is there now.
    private bool IsOfTheSame(HttpResponseMessage rest) => CodingOf(rest) == _coding
        && (_request.Target.Expected is not null || (rest.Headers.ETag is { IsWeak: false } tag && tag.Tag == _validator?.Tag));

    // Several parts come with heads of their own between them; and who contradicts himself has sent something else.
    private static bool IsOnePart(HttpResponseMessage rest) =>
        rest.Content.Headers.ContentType?.MediaType?.StartsWith("multipart/byteranges", StringComparison.OrdinalIgnoreCase) != true
        && (rest.Content.Headers.ContentRange is not { From: { } from, To: { } to } || rest.Content.Headers.ContentLength is not { } length || length == to - from + 1);

    private static string CodingOf(HttpResponseMessage response) => string.Join(',', response.Content.Headers.ContentEncoding);

    // 206 from where we are; or the whole body once more, whose beginning is skipped when the digest vouches for it.
    private async Task<bool> ContinuesAsync(HttpResponseMessage response)
    {
        var range = response.Content.Headers.ContentRange;
        // Where the first answer did not say how long the body is, this one has to: its own end need not be the body's.
        if (response.StatusCode == HttpStatusCode.PartialContent && IsOfTheSame(response) && IsOnePart(response) && range?.From == Position && (range.Length ?? _length) is { } length
            && length == (_length ?? length))
        {
            _length = length;
            _body = await response.Content.ReadAsStreamAsync(_cancel);
            return true;
        }

        if (response.StatusCode != HttpStatusCode.OK || _request.Target.Expected is null
            || response.Content.Headers.ContentLength != _length || response.Content.Headers.ContentEncoding.Count > 0)
            return false;
        _body = await response.Content.ReadAsStreamAsync(_cancel);
        var skipped = new byte[64 << 10];
        for (var left = Position; left > 0;)
        {
            var read = await _body.ReadAsync(skipped.AsMemory(0, (int)Math.Min(left, skipped.Length)), _stalled.Token);
            if (read == 0)
                throw new IOException("upstream closed the connection once more");
            left -= read;
            Volatile.Write(ref _lastProgress, Environment.TickCount64);
        }

        return true;
    }
}
