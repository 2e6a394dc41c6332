using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Downloads;

/// <summary>
/// Clients that fetch one blob by several requests at once. containerd, where it is told to, asks for the whole, then for <c>bytes=N-</c> for each
/// further piece, and closes each answer when it has its piece.
/// </summary>
public sealed class ParallelRangesTests : IAsyncLifetime
{
    private const int Pieces = 8;
    private const int Piece = 256 << 10;
    private readonly byte[] _body = TemporaryCache.Body(Pieces * Piece - 1000);
    private readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CacheStage _stage = null!;
    private long _sent;
    private int _closed;
    private bool _isTrickling;

    public async Task InitializeAsync() => _stage = await CacheStage.StartAsync();

    public async Task DisposeAsync()
    {
        _go.TrySetResult();
        await _stage.DisposeAsync();
    }

    [Fact]
    public async Task Parts_of_what_is_not_stored_are_those_of_its_origin_which_sends_each_byte_once()
    {
        _stage.Origin = context => AnswerAsync(context, int.MaxValue);
        var parts = await Task.WhenAll(Enumerable.Range(0, Pieces).Select(piece => PartAsync(_stage.Client, Bounded(piece))));
        Assert.Equal(_body, parts.SelectMany(part => part.Bytes));
        Assert.Equal(_body.Length, _sent);
        Assert.Equal(Pieces, _stage.Asked.Count);
        await EqualDirectAsync(parts, Bounded);

        // No part is kept as if it were something else.
        Assert.Equal(0, _stage.Stats.Stores);
        await _stage.ExpectAsync("MISS", _body);
        _stage.Asked.Clear();
        var stored = await Task.WhenAll(Enumerable.Range(0, Pieces).Select(piece => PartAsync(_stage.Client, Bounded(piece))));
        Assert.Equal(parts.Select(part => part.Head), stored.Select(part => part.Head));
        Assert.Equal(_body, stored.SelectMany(part => part.Bytes));
        Assert.Empty(_stage.Asked);
    }

    [Fact]
    public async Task While_it_is_downloaded_what_has_come_is_sent_to_all_and_its_origin_sends_it_once()
    {
        // All but the last piece has come, and the rest comes when the others have what they want. Until then a byte now and then: a download that
        // brings nothing for seconds is nobody's to follow.
        _isTrickling = true;
        _stage.Origin = context => AnswerAsync(context, (Pieces - 1) * Piece);
        using var whole = await _stage.GetAsync(_stage.Blob(_body));
        await using var stream = await whole.Content.ReadAsStreamAsync();
        var read = new byte[_body.Length];
        await stream.ReadExactlyAsync(read.AsMemory(0, (Pieces - 1) * Piece));

        var parts = await Task.WhenAll(Enumerable.Range(0, Pieces - 1).Select(piece => PartAsync(_stage.Client, Bounded(piece))));
        Assert.Equal(_body.Take((Pieces - 1) * Piece), parts.SelectMany(part => part.Bytes));
        var open = Enumerable.Range(0, Pieces - 1).Select(piece => PartAsync(_stage.Client, new RangeHeaderValue(piece * Piece + 1, null))).ToArray();
        _go.SetResult();
        await stream.ReadExactlyAsync(read.AsMemory((Pieces - 1) * Piece));
        Assert.Equal(_body, read);
        foreach (var (part, piece) in (await Task.WhenAll(open)).Select((part, piece) => (part, piece)))
            Assert.Equal(_body.Skip(piece * Piece + 1), part.Bytes);

        Assert.Equal((1, _body.Length), (_stage.Asked.Count, _sent));
        await EqualDirectAsync(parts, Bounded);
    }

    [Theory]
    [InlineData(64 << 20, true)]
    [InlineData(0, false)]
    public async Task As_containerd_fetches_it_each_part_ahead_is_asked_for_and_the_whole_is_kept_if_it_is_to_be_finished(long fillAfterAbort, bool isKept)
    {
        _stage.Rules.Replace(new CacheRules(_stage.Options with { FillAfterAbort = fillAfterAbort }));
        _stage.Origin = context => AnswerAsync(context, Piece);
        using var whole = await _stage.GetAsync(_stage.Blob(_body));
        await using var first = await whole.Content.ReadAsStreamAsync();
        var read = new byte[_body.Length];
        await first.ReadExactlyAsync(read.AsMemory(0, Piece));
        await Task.WhenAll(Enumerable.Range(1, Pieces - 1).Select(async piece =>
        {
            using var response = await _stage.GetAsync(_stage.Blob(_body), r => r.Headers.Range = new RangeHeaderValue(piece * Piece, null));
            Assert.Equal($"bytes {piece * Piece}-{_body.Length - 1}/{_body.Length}", response.Content.Headers.ContentRange!.ToString());
            await using var stream = await response.Content.ReadAsStreamAsync();
            await stream.ReadExactlyAsync(read.AsMemory(piece * Piece, Math.Min(Piece, _body.Length - piece * Piece)));
        }));
        whole.Dispose();
        Assert.Equal(_body, read);

        // Whoever closes a part closes it at the origin, too: but for the last, each has more to send.
        await CacheStage.EventuallyAsync(() => Volatile.Read(ref _closed) == Pieces - 2 + (isKept ? 0 : 1));
        _go.SetResult();
        await CacheStage.EventuallyAsync(() => _stage.Stats.Stores == (isKept ? 1 : 0));
        Assert.Equal(Pieces, _stage.Asked.Count);
        Assert.Equal(isKept ? 2 * _body.Length - Piece : _body.Length, _sent);
        await _stage.ExpectAsync(isKept ? "HIT" : "MISS", _body);
    }

    private RangeHeaderValue Bounded(int piece) => new(piece * Piece, Math.Min((piece + 1) * Piece, _body.Length) - 1);

    // A part, or the whole: a first stretch of it at once, the rest when the test says so.
    private async Task AnswerAsync(HttpContext context, int atOnce)
    {
        var response = context.Response;
        var (from, end) = (0, _body.Length);
        response.Headers.ETag = $"\"{TemporaryCache.HexOf(_body)}\"";
        response.Headers.AcceptRanges = "bytes";
        response.ContentType = "application/octet-stream";
        if (context.Request.GetTypedHeaders().Range is { } range)
        {
            var one = range.Ranges.Single();
            (from, end) = ((int)one.From!.Value, (int)(one.To + 1 ?? _body.Length));
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = $"bytes {from}-{end - 1}/{_body.Length}";
        }

        response.ContentLength = end - from;
        var sent = from + Math.Min(atOnce, end - from);
        await SendAsync(response, from, sent);
        try
        {
            for (; _isTrickling && !_go.Task.IsCompleted && sent < end - 1; sent++)
            {
                await SendAsync(response, sent, sent + 1);
                await Task.WhenAny(_go.Task, Task.Delay(100, context.RequestAborted));
            }

            if (sent == end)
                return;
            await _go.Task.WaitAsync(context.RequestAborted);
            await SendAsync(response, sent, end);
        }
        catch (OperationCanceledException)
        {
            Interlocked.Increment(ref _closed);
        }
    }

    private async Task SendAsync(HttpResponse response, int from, int end)
    {
        Interlocked.Add(ref _sent, end - from);
        await response.Body.WriteAsync(_body.AsMemory(from, end - from));
    }

    private async Task<(string Head, byte[] Bytes)> PartAsync(HttpClient client, RangeHeaderValue range)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, _stage.Blob(_body));
        request.Headers.Range = range;
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        var fields = response.Content.Headers;
        return ($"{fields.ContentRange} {fields.ContentLength} {fields.ContentType} {response.Headers.ETag} {response.Headers.AcceptRanges}", await response.Content.ReadAsByteArrayAsync());
    }

    private async Task EqualDirectAsync((string Head, byte[] Bytes)[] parts, Func<int, RangeHeaderValue> range)
    {
        using var direct = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        for (var piece = 0; piece < parts.Length; piece++)
        {
            var own = await PartAsync(direct, range(piece));
            Assert.Equal(own.Head, parts[piece].Head);
            Assert.Equal(own.Bytes, parts[piece].Bytes);
        }
    }
}
