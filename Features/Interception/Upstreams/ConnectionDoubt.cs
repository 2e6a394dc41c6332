using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>
/// Looks, while the answer to a request on a connection that was kept is waited for, whether its peer is there at all: where packets are dropped meanwhile,
/// nothing else tells for minutes. One that has acknowledged the request may take its time.
/// </summary>
internal sealed class ConnectionDoubt : IDisposable
{
    /// <summary>How long a request may stay unacknowledged. Linux sends it again after 200 ms and a round trip (tcp(7)), and then at longer intervals.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Http1Connection _connection;
    private readonly ConnectionNews _news;
    private readonly Timer _timer;
    // Held while it is judged and ended: afterwards the connection may be another request's.
    private readonly Lock _judging = new();
    private bool _isOver;
    private volatile bool _isGone;

    public ConnectionDoubt(Http1Connection connection, ConnectionNews news)
    {
        (_connection, _news) = (connection, news);
        _timer = new Timer(static doubt => ((ConnectionDoubt)doubt!).Look(), this, Patience, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether it was found to be, and the connection has been ended.</summary>
    public bool IsGone => _isGone;

    public void Dispose()
    {
        lock (_judging)
            _isOver = true;
        _timer.Dispose();
    }

    private void Look()
    {
        lock (_judging)
        {
            if (_isOver)
                return;
            if (_connection.HasUnacknowledged)
            {
                _isGone = true;
                _connection.Abort(new IOException($"{_connection.Origin.Target.Host} is silently gone from a connection that was kept."));
                return;
            }
        }

        _news.Connected();
    }
}
