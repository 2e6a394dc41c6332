using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Discobot.Infrastructure.Http1;

/// <summary>The connection of an HTTP/1.1 client: one request after the other, each answered before the next is read.</summary>
internal sealed class ClientConnection : IDisposable
{
    /// <summary>How long what a client still sends of a body that nobody wants is read, so that it learns of its answer instead of a reset
    /// connection (RFC 9112, 9.6), in milliseconds; and how long it may pause meanwhile. The same as nginx.</summary>
    private const int LingerLimit = 30_000;

    private const int LingerPause = 5000;

    /// <summary>Milliseconds between two looks at a client that has ended its direction.</summary>
    private const int Watch = 250;

    private readonly ConnectionContext _transport;
    private readonly PipeReader _input;
    private readonly SslStream? _tls;
    private readonly SocketOutput? _socket;
    private readonly Stream _output;
    private readonly RequestDelegate _pipeline;
    private readonly ClientTimes _times;
    private readonly CancellationTokenSource _aborted = new();
    private readonly CancellationTokenSource _done = new();
    private readonly RequestHead _head = new();
    private readonly RequestBody _body;
    private readonly AnswerWriter _answer;
    private readonly ClientExchange _exchange;
    private readonly DefaultHttpContext _context;
    private long _deadline = long.MaxValue;
    private volatile bool _isBetween;
    private volatile bool _isDraining;
    private volatile bool _isClosing;
    private UpgradedStream? _upgraded;
    private readonly ClientEnd _end;
    private bool _isShort;

    public ClientConnection(ConnectionContext transport, RequestDelegate pipeline, ClientTimes times)
    {
        (_transport, _pipeline, _times, _input) = (transport, pipeline, times, transport.Transport.Input);
        _tls = transport.Features.Get<ISslStreamFeature>()?.SslStream;
        _socket = transport.Features.Get<SocketOutput>();
        _body = new RequestBody(_input);
        _end = new ClientEnd(_input, _body);
        _output = (Stream?)_tls ?? _socket ?? transport.Transport.Output.AsStream(leaveOpen: true);
        _answer = new AnswerWriter(_output, _socket);
        _exchange = new ClientExchange(this, transport, _head, _body, _answer) { Scheme = _tls is null ? "http" : "https" };
        _context = new DefaultHttpContext(_exchange);
    }

    /// <summary>The client is gone, or is to be.</summary>
    public CancellationToken Aborted => _aborted.Token;

    /// <summary>Whether no further request is served.</summary>
    public bool IsClosing => _isClosing;

    /// <summary>Serves requests until one of both sides has enough.</summary>
    public async Task RunAsync()
    {
        var closing = _transport.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default;
        using var stop = closing.UnsafeRegister(static c => ((ClientConnection)c!).Close(), this);
        using var ended = _transport.ConnectionClosed.UnsafeRegister(static c => _ = ((ClientConnection)c!).WatchAsync(), this);
        try
        {
            while (await ReadHeadAsync() is (true, var error) && await ServeAsync(error))
            {
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or SocketException or InvalidOperationException)
        {
            // The client is gone.
        }
        finally
        {
            await _done.CancelAsync();
        }
    }

    /// <summary>Ends it now.</summary>
    public void Abort()
    {
        // What ends with the connection alone must not look as if it were whole.
        if (_answer.EndsWithConnection && _transport.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
            Reset(socket);
        _answer.IsGone = true;
        _transport.Abort(new ConnectionAbortedException("The request was aborted."));
        ThreadPool.UnsafeQueueUserWorkItem(static aborted => Cancel(aborted), _aborted, preferLocal: false);
    }

    /// <summary>The server broke off. What it had said reaches the client, and then the end, in their order: the framing says that there should be more. Where
    /// nothing would, the connection is reset.</summary>
    public void EndShort()
    {
        if (_answer.EndsWithConnection)
            Abort();
        else
            _answer.IsGone = _isShort = true;
    }

    /// <inheritdoc cref="ClientEnd.Follow"/>
    public void Follow(Http1Exchange answering) => _end.Follow(answering);

    /// <inheritdoc cref="ClientEnd.UnfollowAsync"/>
    public ValueTask UnfollowAsync() => _end.UnfollowAsync();

    /// <summary>Ends what has taken too long: the time for a head, between two requests, or of a client that takes nothing of its answer.</summary>
    public void CheckDeadline(long now)
    {
        if (now > Volatile.Read(ref _deadline))
            ((PipeReader)(_isDraining ? _body : _input)).CancelPendingRead();
        if (_tls is not null)
            _end.LookIntoTls(now);
        if (_socket is not null && _times.Write != Timeout.Infinite && _socket.TakesNothing(now, _times.Write))
            Abort();
    }

    /// <summary>The bytes behind the head (and the body) of a request whose answer has switched protocols, both ways.</summary>
    public UpgradedStream Upgrade() => _upgraded = new UpgradedStream(_input, _output, _socket, EndOutputAsync, ResetClient);

    public void Dispose() => _answer.Dispose();

    private void Close()
    {
        _isClosing = true;
        if (_isBetween)
            _input.CancelPendingRead();
    }

    private static void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (AggregateException)
        {
            // Of whoever had registered.
        }
    }

    /// <returns>Whether there is a request, and why it cannot be served; false when no more comes.</returns>
    private async ValueTask<(bool IsThere, ProxyError? Error)> ReadHeadAsync()
    {
        _isBetween = true;
        var begun = false;
        var blankLines = 0;
        try
        {
            while (true)
            {
                if (!_input.TryRead(out var read))
                {
                    if (_isClosing && !begun)
                        return (false, null);
                    // No clock runs for what is here already.
                    if (Volatile.Read(ref _deadline) == long.MaxValue)
                        SetDeadline(begun ? _times.Head : _times.Idle);
                    read = await _input.ReadAsync();
                }

                var buffer = read.Buffer;
                if (!begun && RequestHead.CountBlankLines(buffer) is var count and > 0)
                {
                    blankLines += count;
                    buffer = buffer.Slice(2L * count);
                }

                ProxyError? error = null;
                var taken = 0;
                if (blankLines > RequestHead.MaxBlankLines)
                    error = _head.RefuseBlankLines();
                else if (!buffer.IsEmpty)
                    taken = _head.Read(buffer, out error);
                if (taken > 0 || error is not null)
                {
                    _input.AdvanceTo(buffer.GetPosition(taken));
                    return (true, error);
                }

                if (!begun && !buffer.IsEmpty && !IsHalfBlankLine(buffer))
                {
                    // The time runs from the first byte: further ones do not buy more. Blank lines are none; they buy nothing either.
                    begun = true;
                    SetDeadline(_times.Head);
                }

                _input.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted)
                    return (false, null);
                if (read.IsCanceled && Environment.TickCount64 > Volatile.Read(ref _deadline))
                    return begun ? (true, TooSlow()) : (false, null);
            }
        }
        finally
        {
            _isBetween = false;
            Volatile.Write(ref _deadline, long.MaxValue);
        }
    }

    private static bool IsHalfBlankLine(in ReadOnlySequence<byte> input) => input.Length == 1 && input.FirstSpan[0] == '\r';

    private ProxyError TooSlow()
    {
        _head.Clear();
        return new ProxyError(408, "slow_head", "The head of the request took too long (proxy.read_timeout).");
    }

    private void SetDeadline(int milliseconds) =>
        Volatile.Write(ref _deadline, milliseconds == Timeout.Infinite ? long.MaxValue : Environment.TickCount64 + milliseconds);

    /// <returns>Whether another request may follow.</returns>
    private async ValueTask<bool> ServeAsync(ProxyError? error)
    {
        _exchange.Begin(error);
        // Nobody knows where a request that cannot be read ends.
        _answer.IsLast |= error is not null;
        _context.Initialize(_exchange);
        try
        {
            await _pipeline(_context);
            await _exchange.EndAsync();
        }
        finally
        {
            await UnfollowAsync();
            await _exchange.CompleteAsync();
            _context.Uninitialize();
        }

        _upgraded?.End();
        if (_upgraded is not null || _isShort || _aborted.IsCancellationRequested)
            return false;
        if (_answer.IsGone || _answer.IsCutShort)
        {
            Abort();
            return false;
        }

        if (!_answer.IsLast && (_body.IsOver || await DrainAsync()))
            return true;
        await EndAsync(mayHaveMore: error is not null || !_body.IsOver);
        return false;
    }

    // A client that is still sending has its answer, and may go on with another request once the rest has been read.
    private async ValueTask<bool> DrainAsync()
    {
        var over = Environment.TickCount64 + LingerLimit;
        _isDraining = true;
        while (!_body.IsOver && Environment.TickCount64 < over)
        {
            SetDeadline(LingerPause);
            var read = await _body.ReadAsync();
            _body.AdvanceTo(read.Buffer.End);
            if (read.IsCanceled)
                break;
        }

        _isDraining = false;
        Volatile.Write(ref _deadline, long.MaxValue);
        return _body.IsOver;
    }

    // In the lingering way (RFC 9112, 9.6): our direction first, the other when the client has read that, or has had the time.
    private async ValueTask EndAsync(bool mayHaveMore)
    {
        if (_tls is not null)
            await TlsEnd.SayAsync(_tls);
        if (!mayHaveMore && !(_input.TryRead(out var rest) && Skip(rest)))
            return;
        if (_transport.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
            return;
        socket.Shutdown(SocketShutdown.Send);
        var over = Environment.TickCount64 + LingerLimit;
        while (Environment.TickCount64 < over)
        {
            SetDeadline(LingerPause);
            var read = await _input.ReadAsync();
            _input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted || (read.IsCanceled && Environment.TickCount64 > Volatile.Read(ref _deadline)))
                return;
        }
    }

    private bool Skip(in ReadResult read)
    {
        _input.AdvanceTo(read.Buffer.End);
        return !read.Buffer.IsEmpty;
    }

    // The transport says "closed" also when the client has only ended its own direction, and waits for its answer. One that is gone altogether
    // says so when it is asked (tcp(7), keep-alive), or by a reset.
    private async Task WatchAsync()
    {
        var socket = _transport.Features.Get<IConnectionSocketFeature>()?.Socket;
        if (socket is not null && HalfOpen.Is(socket))
        {
            HalfOpen.Ask(socket);
            _end.Halve();
        }

        while (!_done.IsCancellationRequested && socket is not null && HalfOpen.Is(socket))
            await Task.Delay(Watch, _done.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
        if (_done.IsCancellationRequested)
            return;
        _answer.IsGone = true;
        Cancel(_aborted);
    }

    // The client may go on sending.
    private async Task EndOutputAsync()
    {
        if (_tls is not null)
            await TlsEnd.SayAsync(_tls);
        else
            _transport.Features.Get<IConnectionSocketFeature>()?.Socket.Shutdown(SocketShutdown.Send);
    }

    private void ResetClient()
    {
        if (_transport.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
            Reset(socket);
        Abort();
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended by itself.
        }
    }
}
