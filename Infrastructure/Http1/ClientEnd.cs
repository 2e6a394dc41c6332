using System.IO.Pipelines;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Http1;

/// <summary>A client may end its direction while its request is answered: its server is to see it, as it would without a proxy.</summary>
/// <param name="input">What the client sends.</param>
/// <param name="body">Of the request that is answered.</param>
internal sealed class ClientEnd(PipeReader input, RequestBody body)
{
    /// <summary>Milliseconds that an answer takes before its client's TLS is read for an end.</summary>
    private const int Slow = 250;

    // Held for a moment only: the connection's watch, the sweep and the request all come by.
    private readonly Lock _lock = new();
    private bool _isHalf;
    private bool _hasEnded;
    private Http1Exchange? _answering;
    private long _since;
    private Task? _look;

    /// <summary>A server has the whole request and is about to answer: should the client end its direction now, with nothing more to say, the server
    /// is to see it.</summary>
    public void Follow(Http1Exchange answering)
    {
        lock (_lock)
        {
            (_answering, _since) = (answering, Environment.TickCount64);
            if (_hasEnded)
                answering.EndRequests();
            else if (_isHalf)
                Look();
        }
    }

    /// <summary>Whoever reads next finds nobody else reading.</summary>
    public async ValueTask UnfollowAsync()
    {
        Task? look;
        lock (_lock)
            (_answering, look) = (null, _look);
        if (look is null or { IsCompleted: true })
            return;
        input.CancelPendingRead();
        await look;
    }

    /// <summary>TCP says that the client has ended its direction.</summary>
    public void Halve()
    {
        lock (_lock)
        {
            _isHalf = true;
            if (_answering is not null)
                Look();
        }
    }

    /// <summary>TLS has an end of its own, of which TCP knows nothing: who does not read does not see it. Only for answers that take their time.</summary>
    /// <param name="now">As of <see cref="Environment.TickCount64"/>.</param>
    public void LookIntoTls(long now)
    {
        lock (_lock)
        {
            if (_answering is not null && !_hasEnded && now - _since > Slow)
                Look();
        }
    }

    // What is in the input may be further requests: then its end is not this request's.
    private void Look() => _look = _look is null or { IsCompleted: true } && body.IsOver ? LookAsync() : _look;

    private async Task LookAsync()
    {
        // Not within the lock.
        await Task.Yield();
        try
        {
            var read = await input.ReadAsync();
            input.AdvanceTo(read.Buffer.Start);
            if (!read.IsCompleted || !read.Buffer.IsEmpty)
                return;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException or SocketException)
        {
            // It has ended, if not in an orderly way.
        }

        lock (_lock)
        {
            _hasEnded = true;
            _answering?.EndRequests();
        }
    }
}
