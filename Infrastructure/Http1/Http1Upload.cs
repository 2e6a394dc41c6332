using System.Buffers;
using System.IO.Pipelines;

namespace Discobot.Infrastructure.Http1;

/// <summary>Sends a request's head and body, beside the reading of its answer. What the client has sent already leaves with the head.</summary>
/// <param name="request">With a body.</param>
/// <param name="connection">Written to by nobody else meanwhile.</param>
/// <param name="progress">Called when the server has taken something: it may be silent anew.</param>
/// <param name="sent">Called when it has all of it.</param>
internal sealed class Http1Upload(Http1Request request, Http1Connection connection, Action progress, Action sent) : IDisposable
{
    /// <summary>Bytes that leave in one piece.</summary>
    private const int PieceSize = 64 << 10;

    private readonly HeadWriter _output = new();
    private readonly TaskCompletionSource _goAhead = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isEnded;
    private bool _isBroken;

    /// <summary>Complete when there is no more to send, or no more can be sent. Never fails.</summary>
    public Task Completion { get; private set; } = Task.CompletedTask;

    /// <summary>Why the client's body could not be read.</summary>
    public Exception? ClientFailure { get; private set; }

    /// <summary>Why the server did not take it. Its answer may be here all the same.</summary>
    public Exception? ServerFailure { get; private set; }

    /// <summary>The head was sent, and the body waits for the server's 100.</summary>
    public bool IsHeldBack => request.Body!.IsAwaited && !_goAhead.Task.IsCompleted;

    /// <summary>Sends the head, and goes on with the body while the answer is waited for.</summary>
    public async ValueTask BeginAsync()
    {
        _output.AddRequest(request.Method, request.Target, request.Fields.Lines);
        if (request.Body!.IsAwaited)
        {
            await connection.WriteAsync(_output.Written);
            _output.Clear();
        }

        Completion = RunAsync();
    }

    public void GoAhead() => _goAhead.TrySetResult();

    /// <summary>Stops what is not yet sent.</summary>
    /// <returns>Whether all of it was.</returns>
    public async ValueTask<bool> EndAsync()
    {
        if (!Completion.IsCompleted)
        {
            _isEnded = true;
            _goAhead.TrySetResult();
            connection.Abort(new OperationCanceledException("The answer is complete."));
            request.Body!.Reader.CancelPendingRead();
        }

        await Completion;
        return !_isEnded && ClientFailure is null && ServerFailure is null;
    }

    public void Dispose() => _output.Dispose();

    private async Task RunAsync()
    {
        try
        {
            if (request.Body!.IsAwaited)
                await _goAhead.Task;
            while (!_isEnded && await SendSomeAsync())
            {
            }
        }
        catch (Exception e)
        {
            ServerFailure = connection.Reason(e);
            progress();
        }
        finally
        {
            _output.Dispose();
        }
    }

    private async ValueTask<bool> SendSomeAsync()
    {
        var body = request.Body!;
        ReadResult read;
        try
        {
            if (!body.Reader.TryRead(out read))
            {
                if (_output.Length > 0)
                {
                    // Nothing more is here: what is, must not wait for it.
                    await FlushAsync();
                    return true;
                }

                _output.Dispose();
                // The client may pause as it likes: meanwhile nothing is expected of the server.
                connection.Deadline = long.MaxValue;
                read = await body.Reader.ReadAsync();
                progress();
            }
        }
        catch (Exception e) when (!_isBroken)
        {
            // What it had sent of it is the server's all the same, unless it could be read in two ways.
            if (e is not MalformedMessageException)
                await FlushAsync();
            ClientFailure = e;
            connection.Abort(new RequestBodyException(e));
            return false;
        }

        if (read.IsCanceled)
        {
            body.Reader.AdvanceTo(read.Buffer.Start);
            return false;
        }

        try
        {
            await AddAsync(read.Buffer);
        }
        finally
        {
            body.Reader.AdvanceTo(read.Buffer.End);
        }

        if (!read.IsCompleted)
            return true;
        if (body.Length is null && !TryAddEnd(body))
            return false;
        await FlushAsync();
        sent();
        return false;
    }

    // Without its end the server does not have the request.
    private bool TryAddEnd(Http1RequestBody body)
    {
        try
        {
            var trailers = body.Trailers?.Invoke() ?? [];
            _output.Add("0\r\n"u8);
            _output.AddFields(trailers);
            return true;
        }
        catch (IOException e)
        {
            ClientFailure = e;
            connection.Abort(new RequestBodyException(e));
            return false;
        }
    }

    private async ValueTask AddAsync(ReadOnlySequence<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var piece = bytes.Slice(0, Math.Min(bytes.Length, PieceSize));
            if (request.Body!.Length is null)
            {
                _output.AddChunkSize(piece.Length);
                _output.Add(piece);
                _output.Add("\r\n"u8);
            }
            else
            {
                _output.Add(piece);
            }

            bytes = bytes.Slice(piece.End);
            if (_output.Length >= PieceSize)
                await FlushAsync();
        }
    }

    private async ValueTask FlushAsync()
    {
        if (_output.Length == 0)
            return;
        _isBroken = true;
        await connection.WriteAsync(_output.Written);
        _isBroken = false;
        _output.Clear();
        progress();
    }
}
