using System.Buffers.Text;
using System.Runtime.CompilerServices;

namespace Discobot.Infrastructure.Http1;

/// <summary>
/// One request and its answer over one connection. The answer is read while the request's body is still being sent, since a server may answer
/// before it has read all of it. A lease: disposed, it gives the connection back if another request may follow, or ends it.
/// </summary>
internal sealed class Http1Exchange : IAsyncDisposable
{
    /// <summary>A 100 that never comes does not hold the body back for ever (RFC 9110, 10.1.1).</summary>
    private static readonly TimeSpan ContinueLimit = TimeSpan.FromSeconds(3);

    /// <summary>How long an answer may take after the server has stopped taking the request's body, in milliseconds.</summary>
    private const int AfterBrokenUpload = 5000;

    private readonly Http1Request _request;
    private readonly Http1Connection _connection;
    private readonly Action<Http1Connection, bool> _done;
    private readonly long _streams;
    private long _silence;
    private Http1Upload? _upload;
    private ChunkedDecoder? _chunks;
    private BodyFraming _framing;
    private long _left;
    private bool _isOver;
    private bool _isPatient;
    private volatile bool _isWaiting;
    private readonly Lock _ending = new();
    private bool _isDisposed;
    private volatile bool _hasEndedRequests;

    /// <param name="request">What is sent.</param>
    /// <param name="connection">Over this.</param>
    /// <param name="done">Given the connection afterwards, and told whether another request may follow on it.</param>
    /// <param name="silence">Milliseconds that the server may do nothing.</param>
    /// <param name="streams">The same for what stays open; by default for ever.</param>
    public Http1Exchange(Http1Request request, Http1Connection connection, Action<Http1Connection, bool> done, long silence, long streams = Timeout.Infinite) =>
        (_request, _connection, _done, _silence, _streams) = (request, connection, done, silence, streams);

    /// <summary>The answer's head; valid until the exchange is disposed.</summary>
    public ResponseHead Head => _connection.Head;

    public Http1Connection Connection => _connection;

    /// <summary>Where the answer's body ends.</summary>
    public BodyFraming Framing => _framing;

    /// <summary>The fields after the body, once it has been read.</summary>
    public FieldLines? Trailers => _chunks?.Trailers;

    /// <summary>Whether the body has been read to its end.</summary>
    public bool IsOver => _isOver;

    /// <summary>Whether <see cref="ReadAsync"/> has something without waiting for the server.</summary>
    public bool IsAvailable => _isOver || _connection.HasBuffered;

    /// <summary>Whether the request's body is still being sent.</summary>
    public bool IsUploading => _upload is { Completion.IsCompleted: false };

    /// <summary>Sends the request and reads the answer's head.</summary>
    /// <exception cref="RequestBodyException">The client's body is malformed.</exception>
    public async ValueTask SendAsync()
    {
        _connection.Begin();
        Expect();
        if (_request.Body is null)
        {
            using var head = new HeadWriter();
            head.AddRequest(_request.Method, _request.Target, _request.Fields.Lines);
            await _connection.WriteAsync(head.Written);
            _request.Client?.Follow(this);
        }
        else
        {
            _upload = new Http1Upload(_request, _connection, Progress, () => _request.Client?.Follow(this));
            await _upload.BeginAsync();
        }

        try
        {
            await ReadFinalHeadAsync();
            _framing = BodyFraming.OfAnswer(Head, _request.IsHead);
        }
        catch (Exception) when (_upload?.ClientFailure is { } failure)
        {
            throw new RequestBodyException(failure);
        }

        _left = _framing.Length;
        if (_framing.End == BodyEnd.Chunked)
            _chunks = new ChunkedDecoder(Strictness.Answer);
        if (_framing.End == BodyEnd.None || _framing is { End: BodyEnd.Length, Length: 0 })
            End();
    }

    /// <summary>Streams of events may be silent longer than other answers, or for ever.</summary>
    public void ExpectStream() => (_silence, _connection.Deadline) = (_streams, long.MaxValue);

    /// <summary>Nothing is expected any more: whoever relays an upgraded connection watches over it.</summary>
    /// <returns>Milliseconds that both directions may be silent; negative: for ever.</returns>
    public long ExpectNothing()
    {
        (_connection.Deadline, _isPatient) = (long.MaxValue, true);
        return _streams;
    }

    /// <summary>The client has ended its direction: no further request comes on this connection, and the server is told so as it would have been without
    /// a proxy. It may answer all the same.</summary>
    public void EndRequests()
    {
        lock (_ending)
        {
            // The connection may be somebody else's by now.
            if (_isDisposed || _hasEndedRequests)
                return;
            _hasEndedRequests = true;
            _connection.EndRequests();
        }
    }

    /// <summary>Whether the server was told that no more comes, and knows it: what it does may be its answer to that.</summary>
    public bool HasHeardEnd => _hasEndedRequests && _connection.HasHeardEnd;

    /// <summary>Waits until there is something to read. <see cref="Expect"/> begins the server's time.</summary>
    public ValueTask WaitAsync() => IsAvailable ? default : _connection.WaitAsync();

    /// <summary>The server has to do something from now on, until it has done it; after a broken upload, soon.</summary>
    public void Expect()
    {
        if (_isPatient || _isOver)
            return;
        _isWaiting = true;
        _connection.Deadline = _upload?.ServerFailure is not null ? Environment.TickCount64 + AfterBrokenUpload
            : _silence == Timeout.Infinite ? long.MaxValue : Environment.TickCount64 + _silence;
    }

    /// <summary>Reads some of the answer's body.</summary>
    /// <returns>0 at its end.</returns>
    /// <exception cref="HttpIOException">The connection ended before the body.</exception>
    /// <exception cref="MalformedMessageException">Its chunks are malformed.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(Memory<byte> destination)
    {
        if (_isOver)
            return 0;
        Expect();
        int count;
        switch (_framing.End)
        {
            case BodyEnd.Length:
                count = await _connection.ReadAsync(destination.Length > _left ? destination[..(int)_left] : destination);
                _left -= count;
                if (count == 0)
                    throw Http1Connection.Ended();
                if (_left == 0)
                    End();
                break;
            case BodyEnd.Chunked:
                count = await ReadChunksAsync(destination);
                break;
            default:
                count = await _connection.ReadAsync(destination);
                if (count == 0)
                    End();
                break;
        }

        Relax();
        return count;
    }

    /// <summary>Waits for the rest of the request's body to be sent, as a server that has answered early may still want it. A body that waits for the
    /// server's 100 is not waited for: after the final answer none comes (RFC 9110, 10.1.1).</summary>
    public Task FinishUploadAsync() => _upload is { IsHeldBack: false } ? _upload.Completion : Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        Relax();
        lock (_ending)
            _isDisposed = true;
        var reusable = _isOver && !_hasEndedRequests && MayFollow();
        if (_upload is not null)
        {
            reusable &= await _upload.EndAsync();
            _upload.Dispose();
        }

        if (reusable && KeepAliveSeconds() is { } seconds)
            _connection.ServerPatience = Math.Max(0, seconds - 1) * 1000L;
        _done(_connection, reusable);
    }

    private bool MayFollow() =>
        _framing.End != BodyEnd.Close && Head.KeepsConnection && Head.Status != 101
            // Both at once: something on the way framed it wrongly (RFC 9112, 6.3, 3). Or a body where none belongs, which may still come.
            && !(_framing.End == BodyEnd.Chunked && Head.Fields.Contains("Content-Length"u8))
            && !(Head.Status == 204 && (Head.Fields.Contains("Transfer-Encoding"u8) || Head.Fields.IndexOf("Content-Length"u8, 0) is var i and >= 0 && !Head.Fields.Value(i).SequenceEqual("0"u8)));

    private async ValueTask ReadFinalHeadAsync()
    {
        while (true)
        {
            if (_upload is { IsHeldBack: true })
                await WaitForContinueAsync();
            await _connection.ReadHeadAsync();
            if (Head.Status is >= 200 or 101)
                break;
            Expect();
            if (Head.Status == 100)
                _upload?.GoAhead();
            if (_request.Interim is { } tell)
                await tell(Head);
        }

        Relax();
    }

    private async Task WaitForContinueAsync()
    {
        using var limit = new CancellationTokenSource();
        var answer = _connection.WaitAsync().AsTask();
        if (await Task.WhenAny(answer, Task.Delay(ContinueLimit, limit.Token)) != answer)
            _upload!.GoAhead();
        await limit.CancelAsync();
        await answer;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadChunksAsync(Memory<byte> destination)
    {
        while (true)
        {
            if (_chunks!.DataLeft is var data and > 0)
            {
                var wanted = destination.Length > data ? destination[..(int)data] : destination;
                var count = await _connection.ReadAsync(wanted);
                if (count == 0)
                    throw Http1Connection.Ended();
                _chunks.ReadData(count);
                // The framing behind it has mostly arrived with it: whoever reads next learns at once that it was the last.
                if (_chunks.DataLeft == 0)
                    Advance();
                return count;
            }

            Advance();
            if (_isOver)
                return 0;
            if (_chunks.DataLeft == 0 && await _connection.FillAsync() == 0)
                throw Http1Connection.Ended();
        }
    }

    private void Advance()
    {
        if (_connection.HasBuffered)
            _connection.Consume(_chunks!.Advance(_connection.Buffered));
        if (_chunks!.IsDone)
            End();
    }

    private void End()
    {
        _isOver = true;
        Relax();
    }

    private void Relax()
    {
        _isWaiting = false;
        _connection.Deadline = long.MaxValue;
    }

    // The server has taken some of the body: it may be silent anew, if anybody waits for it.
    private void Progress()
    {
        if (_isWaiting)
            Expect();
    }

    // Keep-Alive: timeout=5, max=100: how long the server keeps an idle connection.
    private int? KeepAliveSeconds()
    {
        var line = Head.Fields.IndexOf("Keep-Alive"u8, 0);
        if (line < 0)
            return null;
        var value = Head.Fields.Value(line);
        var at = value.IndexOf("timeout="u8);
        return at >= 0 && Utf8Parser.TryParse(value[(at + 8)..], out int seconds, out _) && seconds >= 0 ? seconds : null;
    }
}
