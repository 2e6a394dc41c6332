using System.Collections.Concurrent;
using Discobot.Infrastructure.Wire;

namespace Discobot.Infrastructure.Http1;

/// <summary>Whom a connection leads to: connections are kept for the same scheme, host and port only.</summary>
/// <param name="Scheme"><c>http</c>, <c>https</c>, or <c>ws</c> for plain HTTP that a parent proxy must not read.</param>
/// <param name="Target">Host and port.</param>
/// <param name="Parent">The parent proxy that the target is, if it takes requests for many hosts.</param>
internal readonly record struct Http1Origin(string Scheme, ConnectTarget Target, ParentAddress? Parent = null);

/// <summary>Connections to servers that wait for another request. All that are open are watched, in use or not.</summary>
internal sealed class Http1Pool : IDisposable
{
    /// <summary>How long a connection is kept idle, in milliseconds.</summary>
    private const int IdleLimit = 60_000;

    /// <summary>Names move: how long one is kept at all, beyond the usual DNS lifetimes.</summary>
    private const int Lifetime = 600_000;

    /// <summary>Servers close what is idle (Apache and Node after 5 s), perhaps as a request arrives. One that cannot be sent again does not take the risk.</summary>
    private const int SafelyIdle = 4000;

    private readonly ConcurrentDictionary<Http1Origin, Idle> _idle = new();
    private readonly ConcurrentDictionary<Http1Connection, byte> _open = new();
    private readonly ITimer _sweep;
    private volatile bool _isDisposed;

    /// <param name="silence">The shortest deadline there will be: deadlines are checked four times as often, and at least every 5 s.</param>
    /// <param name="time">For the sweep.</param>
    public Http1Pool(TimeSpan silence, TimeProvider time)
    {
        var period = TimeSpan.FromMilliseconds(silence == Timeout.InfiniteTimeSpan ? 5000 : Math.Clamp(silence.TotalMilliseconds / 4, 20, 1000));
        _sweep = time.CreateTimer(_ => Sweep(), null, period, period);
    }

    /// <summary>Takes a connection that is idle and, as far as can be seen, alive.</summary>
    /// <param name="origin">Whom it leads to.</param>
    /// <param name="repeatable">Whether the request can be sent again.</param>
    /// <returns>Null: there is none.</returns>
    public Http1Connection? TryTake(Http1Origin origin, bool repeatable)
    {
        if (!_idle.TryGetValue(origin, out var idle))
            return null;
        while (idle.TryPop() is { } connection)
        {
            var rest = Environment.TickCount64 - connection.LastUsed;
            if (IsFresh(connection, rest) && (repeatable || rest < SafelyIdle) && connection.IsQuiet())
                return connection;
            End(connection);
        }

        return null;
    }

    /// <summary>Watches the deadlines of a connection until it is ended.</summary>
    public void Watch(Http1Connection connection)
    {
        _open[connection] = 0;
        if (_isDisposed)
            connection.Dispose();
    }

    /// <summary>Ends a connection.</summary>
    public void End(Http1Connection connection)
    {
        _open.TryRemove(connection, out _);
        connection.Dispose();
    }

    /// <summary>Keeps a connection for the next request, or ends it.</summary>
    public void Done(Http1Connection connection, bool reusable)
    {
        if (!reusable || connection.HasBuffered || _isDisposed)
        {
            End(connection);
            return;
        }

        connection.Rest();
        connection.IsReused = true;
        connection.LastUsed = Environment.TickCount64;
        while (!_idle.GetOrAdd(connection.Origin, static _ => new Idle()).TryPush(connection))
        {
        }
    }

    public void Dispose()
    {
        _isDisposed = true;
        _sweep.Dispose();
        foreach (var (connection, _) in _open)
            End(connection);
    }

    private void Sweep()
    {
        var now = Environment.TickCount64;
        foreach (var (connection, _) in _open)
            connection.CheckDeadline(now);
        foreach (var (origin, idle) in _idle)
        {
            foreach (var connection in idle.TakeStale(now))
                End(connection);
            if (idle.TryClose())
                _idle.TryRemove(new(origin, idle));
        }
    }

    private static bool IsFresh(Http1Connection connection, long idle) =>
        idle < Math.Min(IdleLimit, connection.ServerPatience) && Environment.TickCount64 - connection.Created < Lifetime;

    /// <summary>The idle connections of one origin, the last used on top. Once closed it stays empty: another one takes its place.</summary>
    private sealed class Idle
    {
        private readonly Lock _lock = new();
        private readonly List<Http1Connection> _connections = [];
        private bool _isClosed;

        public Http1Connection? TryPop()
        {
            lock (_lock)
            {
                if (_connections.Count == 0)
                    return null;
                var connection = _connections[^1];
                _connections.RemoveAt(_connections.Count - 1);
                return connection;
            }
        }

        public bool TryPush(Http1Connection connection)
        {
            lock (_lock)
            {
                if (!_isClosed)
                    _connections.Add(connection);
                return !_isClosed;
            }
        }

        public List<Http1Connection> TakeStale(long now)
        {
            lock (_lock)
            {
                var stale = _connections.FindAll(c => !IsFresh(c, now - c.LastUsed));
                if (stale.Count > 0)
                    _connections.RemoveAll(stale.Contains);
                return stale;
            }
        }

        public bool TryClose()
        {
            lock (_lock)
                return _isClosed = _connections.Count == 0;
        }
    }
}
