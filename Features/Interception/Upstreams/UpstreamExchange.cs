using Discobot.Infrastructure.Http1;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>An exchange that ends when the client, or whoever asks for it, goes away.</summary>
internal sealed class UpstreamExchange : IAsyncDisposable
{
    private CancellationTokenRegistration _cancellation;

    public UpstreamExchange(Http1Exchange http1, CancellationToken cancellation)
    {
        Http1 = http1;
        _cancellation = cancellation.UnsafeRegister(
            static (connection, token) => ((Http1Connection)connection!).Abort(new OperationCanceledException(token)), http1.Connection);
    }

    public Http1Exchange Http1 { get; }

    /// <summary>From now on it ends by what happens on it alone.</summary>
    public void Detach() => _cancellation.Dispose();

    public ValueTask DisposeAsync()
    {
        // Afterwards the connection may serve somebody else.
        _cancellation.Dispose();
        return Http1.DisposeAsync();
    }
}

/// <summary>Upstream connections that belong to one client connection: NTLM, Negotiate and Kerberos prove who speaks once for a whole
/// connection (RFC 4559), so that a request of somebody else on it would be taken for theirs. Ended with the client's.</summary>
internal sealed class BoundConnections(Http1Pool pool) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Http1Connection> _idle = [];
    private bool _isOver;

    /// <summary>Takes the client's own connection to an origin, if it has one and it is not in use.</summary>
    public Http1Connection? TryTake(Http1Origin origin)
    {
        while (true)
        {
            Http1Connection connection;
            lock (_lock)
            {
                var found = _idle.FindLastIndex(c => c.Origin == origin);
                if (found < 0)
                    return null;
                connection = _idle[found];
                _idle.RemoveAt(found);
            }

            if (connection.IsQuiet())
                return connection;
            pool.End(connection);
        }
    }

    /// <summary>Keeps a connection for this client.</summary>
    public void GiveBack(Http1Connection connection, bool reusable)
    {
        if (reusable && !connection.HasBuffered)
        {
            connection.Rest();
            connection.IsReused = true;
            lock (_lock)
            {
                if (!_isOver)
                {
                    _idle.Add(connection);
                    return;
                }
            }
        }

        pool.End(connection);
    }

    public void Dispose()
    {
        lock (_lock)
            _isOver = true;
        // Nobody adds to it any more.
        _idle.ForEach(pool.End);
    }
}
