using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.WebUtilities;

namespace Discobot.Infrastructure.Http1;

/// <summary>
/// Writes an answer to a client: its head once the first byte is flushed, and the body in the framing that fits. What is written is collected in
/// one rented buffer, held only while it holds something. Used by one at a time.
/// </summary>
internal sealed class AnswerWriter(Stream output, SocketOutput? socket) : PipeWriter, IDisposable
{
    /// <summary>Room in front of a body whose length nobody has told: 16 hexadecimal digits and a line end would be more than any piece has.</summary>
    private const int Front = 12;

    /// <summary>Room behind it for the line end of a chunk.</summary>
    private const int Back = 4;

    /// <summary>Bytes of head and body that leave in one piece, at the cost of copying the body. Larger bodies leave by themselves.</summary>
    private const int OnePiece = 32 << 10;

    private const int LeastBuffer = 4 << 10;

    private readonly HeadWriter _head = new();
    private readonly List<(Func<object, Task> Call, object State)> _onStarting = [];
    private byte[]? _buffer;
    private int _begin;
    private int _end;
    private RequestHead _request = null!;
    private BodyFraming _framing;
    private long _left;

    public int Status { get; set; } = 200;

    /// <summary>Latin-1; null: the usual one.</summary>
    public string? Reason { get; set; }

    public FieldList Fields { get; } = new();

    /// <summary>The fields after the body; sent where the body has chunks.</summary>
    public FieldList Trailers { get; } = new();

    /// <summary>Whether the head is on its way.</summary>
    public bool HasStarted { get; private set; }

    /// <summary>Whether all of it has been written.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Whether the client has been told that this is the last answer on its connection, or would have to be.</summary>
    public bool IsLast { get; set; }

    /// <summary>Whether the client can be told by nothing but the end of the connection that the body has ended.</summary>
    public bool EndsWithConnection => _framing.End == BodyEnd.Close;

    /// <summary>Whether there is less of the body than its head announced.</summary>
    public bool IsCutShort => _framing.End == BodyEnd.Length && _left > 0;

    /// <summary>Bytes of the body that were handed over, without framing.</summary>
    public long Sent { get; private set; }

    /// <summary>The client takes no more: what is written is dropped.</summary>
    public bool IsGone { get; set; }

    /// <summary>Asked before the head is written: whether another request can follow.</summary>
    public Func<bool> MayFollow { get; set; } = static () => true;

    /// <summary>Begins another answer.</summary>
    public void Begin(RequestHead request)
    {
        (_request, Status, Reason, HasStarted, IsOver, IsLast, _framing, _left) = (request, 200, null, false, false, !request.KeepsConnection, default, 0);
        Sent = 0;
        Fields.Clear();
        Trailers.Clear();
        _onStarting.Clear();
    }

    public void OnStarting(Func<object, Task> call, object state) => _onStarting.Add((call, state));

    /// <summary>Writes an interim answer (RFC 9110, 15.2), as it came. HTTP/1.0 does not have them.</summary>
    public async ValueTask SendInterimAsync(int status, string reason, FieldLines fields)
    {
        if (HasStarted || _request.MinorVersion == 0)
            return;
        _head.AddStatus(status, reason);
        for (var i = 0; i < fields.Count; i++)
            _head.AddField(fields.Name(i), fields.Value(i));
        _head.Add("\r\n"u8);
        await SendAsync(default);
    }

    /// <summary>Writes the head of an answer that switches protocols (RFC 9110, 7.8).</summary>
    public async ValueTask SwitchAsync()
    {
        await FireAsync();
        Status = 101;
        (HasStarted, IsOver, IsLast) = (true, true, true);
        _head.AddStatus(101, Reason ?? "Switching Protocols");
        Fields.Set("Connection", "Upgrade");
        _head.AddFields(Fields.Lines);
        await SendAsync(default);
    }

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        // Of a body of known length a piece leaves as it is.
        var (front, back) = HasStarted ? _framing.End == BodyEnd.Chunked ? (Front, Back) : (0, 0) : Fields.Contains("Content-Length") ? (0, 0) : (Front, Back);
        if (_buffer is null)
        {
            _buffer = ArrayPool<byte>.Shared.Rent(Math.Max(sizeHint + front + back, LeastBuffer));
            (_begin, _end) = (front, front);
        }
        else if (_buffer.Length - back - _end < Math.Max(sizeHint, 1))
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_end + sizeHint + back, _buffer.Length * 2));
            _buffer.AsSpan(0, _end).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }

        return _buffer.AsMemory(_end, _buffer.Length - back - _end);
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        _end += bytes;
        Sent += bytes;
    }

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _end - _begin;

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => FlushAsync(default, isLast: false);

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        if (UnflushedBytes == 0 && (HasStarted ? _framing.End != BodyEnd.Chunked : Fields.Contains("Content-Length")))
        {
            Sent += source.Length;
            return FlushAsync(source, isLast: false);
        }

        source.Span.CopyTo(GetSpan(source.Length));
        Advance(source.Length);
        return FlushAsync(default, isLast: false);
    }

    /// <summary>Writes what is left, and the end.</summary>
    public async ValueTask EndAsync()
    {
        if (!IsOver && !IsGone)
            await FlushAsync(default, isLast: true);
        Drop();
    }

    public override void CancelPendingFlush()
    {
        // A flush ends when the client takes what is sent, or its connection ends.
    }

    public override void Complete(Exception? exception = null)
    {
        // The exchange ends the answer.
    }

    /// <summary>Gives what it holds back.</summary>
    public void Dispose()
    {
        Drop();
        _head.Dispose();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FlushResult> FlushAsync(ReadOnlyMemory<byte> more, bool isLast)
    {
        if (IsGone)
        {
            Drop();
            return new FlushResult(isCanceled: false, isCompleted: true);
        }

        if (!HasStarted)
        {
            if (_onStarting.Count > 0)
                await FireAsync();
            Start(isEmpty: isLast && UnflushedBytes == 0);
        }

        var body = UnflushedBytes > 0 ? _buffer.AsMemory(_begin, _end - _begin) : more;
        switch (_framing.End)
        {
            case BodyEnd.None:
                body = default;
                break;
            case BodyEnd.Length:
                _left = _left >= body.Length ? _left - body.Length : throw new InvalidOperationException("More of the body was written than its Content-Length says.");
                break;
            case BodyEnd.Chunked when !body.IsEmpty:
                body = Chunk();
                break;
        }

        IsOver = isLast;
        if (isLast && _framing.End == BodyEnd.Chunked)
            await SendLastAsync(body);
        else if (_head.Length > 0 || !body.IsEmpty)
            await SendAsync(body);
        Drop();
        return new FlushResult(isCanceled: false, isCompleted: IsGone);
    }

    private async ValueTask FireAsync()
    {
        // Last come, first served, as in ASP.NET's own servers.
        for (var i = _onStarting.Count - 1; i >= 0; i--)
            await _onStarting[i].Call(_onStarting[i].State);
        _onStarting.Clear();
    }

    // Decides where the body ends (RFC 9112, 6) and whether another request can follow, and writes the head.
    private void Start(bool isEmpty)
    {
        HasStarted = true;
        if (_request.Method == "HEAD" || Status is < 200 or 204 or 304)
            _framing = new BodyFraming(BodyEnd.None);
        else if (Fields.ContentLength is { } length)
            _framing = new BodyFraming(BodyEnd.Length, length);
        else if (isEmpty && Trailers.Count == 0)
            (_framing, Fields.ContentLength) = (new BodyFraming(BodyEnd.Length), 0);
        else
            _framing = new BodyFraming(_request.MinorVersion == 1 ? BodyEnd.Chunked : BodyEnd.Close);
        _left = _framing.Length;
        IsLast |= _framing.End == BodyEnd.Close || Fields.HasMember("Connection", "close") || !MayFollow();

        _head.AddStatus(Status, Reason ?? ReasonPhrases.GetReasonPhrase(Status));
        Fields.Remove("Connection");
        if (_framing.End == BodyEnd.Chunked)
            Fields.Set("Transfer-Encoding", "chunked");
        var connection = IsLast ? "close" : _request.MinorVersion == 0 ? "keep-alive" : null;
        if (Fields.Contains("Upgrade"))
            connection = connection is null ? "Upgrade" : $"{connection}, Upgrade";
        if (connection is not null)
            Fields.Add("Connection", connection);
        _head.AddFields(Fields.Lines);
    }

    // chunk = size CRLF data CRLF   (RFC 9112, 7.1)
    private ReadOnlyMemory<byte> Chunk()
    {
        if (_begin < Front)
            MakeFront();
        Span<byte> size = stackalloc byte[Front];
        (_end - _begin).TryFormat(size, out var digits, "x", CultureInfo.InvariantCulture);
        "\r\n"u8.CopyTo(size[digits..]);
        size[..(digits + 2)].CopyTo(_buffer.AsSpan(_begin - digits - 2));
        "\r\n"u8.CopyTo(_buffer.AsSpan(_end));
        return _buffer.AsMemory(_begin - digits - 2, _end - _begin + digits + 4);
    }

    // The length that was announced when the writing began has been withdrawn.
    private void MakeFront()
    {
        var larger = ArrayPool<byte>.Shared.Rent(Front + _end + Back);
        _buffer.AsSpan(_begin, _end - _begin).CopyTo(larger.AsSpan(Front));
        ArrayPool<byte>.Shared.Return(_buffer!);
        (_buffer, _begin, _end) = (larger, Front, Front + _end - _begin);
    }

    private async ValueTask SendLastAsync(ReadOnlyMemory<byte> chunk)
    {
        if (_head.Length + chunk.Length > OnePiece)
        {
            await SendAsync(chunk);
            chunk = default;
        }

        _head.Add(chunk.Span);
        _head.Add("0\r\n"u8);
        _head.AddFields(Trailers.Lines);
        await SendAsync(default);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(ReadOnlyMemory<byte> body)
    {
        try
        {
            if (_head.Length > 0 && _head.Length + body.Length <= OnePiece)
            {
                _head.Add(body.Span);
                body = default;
            }

            if (_head.Length > 0)
                await output.WriteAsync(_head.Written);
            _head.Clear();
            if (!body.IsEmpty)
                await output.WriteAsync(body);
            IsGone |= socket?.IsGone == true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or InvalidOperationException)
        {
            IsGone = true;
            _head.Clear();
        }
    }

    private void Drop()
    {
        if (_buffer is null)
            return;
        ArrayPool<byte>.Shared.Return(_buffer);
        (_buffer, _begin, _end) = (null, 0, 0);
    }
}
