using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// Connections passed on to a port of the loopback, byte by byte, by one thread. Most of them wait: such a one is two descriptors and
/// about a hundred bytes here, and has no buffer. What one side does the other is told: its end as an end, a failure as a reset.
/// </summary>
/// <param name="port">Where they lead.</param>
internal sealed class RelayedConnections(int port) : IDisposable
{
    private const int BufferSize = 64 * 1024;
    private const long Listener = -1;
    private const int PauseMilliseconds = 100;
    private readonly EventPoll _poll = new();
    private readonly byte[] _buffer = new byte[BufferSize];
    private readonly List<Connection?> _connections = [];

    // What is told of a connection may be waiting when it ends: its place is given away when nothing waits any more.
    private readonly Stack<int> _places = new();
    private readonly List<int> _left = [];
    private bool _pausing;

    public int Count => _connections.Count - _places.Count - _left.Count;

    /// <summary>Takes connections of a listener, which must not block.</summary>
    public void Listen(int listener) => _poll.Watch(listener, Listener, Ready.In);

    /// <summary>Takes no more of them.</summary>
    public void EndListening(int listener) => _poll.Forget(listener);

    /// <summary>Waits until something is ready, and serves it.</summary>
    /// <param name="listener">Null when it takes no more.</param>
    public void Serve(int? listener)
    {
        // No limit: it has this thread for itself, and the end of the listener wakes it.
        _poll.Wait(_pausing ? PauseMilliseconds : -1, (key, ready) =>
        {
            if (key != Listener)
                Pass((int)(key >> 1), (key & 1) != 0, ready);
            else if (listener is { } descriptor)
                Take(descriptor);
        });
        foreach (var place in _left)
            _places.Push(place);
        _left.Clear();
        if (_pausing && listener is { } again)
        {
            _pausing = false;
            _poll.Change(again, Listener, Ready.In);
        }
    }

    public void Dispose()
    {
        foreach (var connection in _connections.OfType<Connection>())
        {
            Libc.Reset(connection.Client.Descriptor);
            Libc.Reset(connection.Proxy.Descriptor);
        }

        _connections.Clear();
        _poll.Dispose();
    }

    private void Take(int listener)
    {
        var client = Libc.Accept(listener);
        if (client < 0)
        {
            // That client left again, or there are too many: the next may be luckier, later.
            if (Marshal.GetLastPInvokeError() == LibcException.WouldBlock)
                return;
            _poll.Change(listener, Listener, Ready.None);
            _pausing = true;
            return;
        }

        var proxy = Libc.ConnectToLoopback(port);
        if (proxy < 0)
        {
            Libc.Reset(client);
            return;
        }

        Libc.NoDelay(client);
        Libc.NoDelay(proxy);
        // A container that is frozen or cut off says nothing any more: after two minutes it counts as gone.
        Libc.KeepAlive(client, idle: 60, interval: 10, count: 6);
        if (!_places.TryPop(out var place))
        {
            place = _connections.Count;
            _connections.Add(null);
        }

        var connection = _connections[place] = new Connection(place) { Client = new(client), Proxy = new(proxy) };
        if (!TryAttend(connection))
            Reset(connection);
    }

    private void Pass(int place, bool isProxy, Ready ready)
    {
        if (_connections[place] is not { } connection)
            return;
        if (isProxy)
            connection.IsConnected = connection.IsConnected || Libc.SocketError(connection.Proxy.Descriptor) == 0;
        if (!connection.IsConnected && (isProxy || (ready & Ready.Hangup) != 0))
            ready |= Ready.Error;
        ref var side = ref connection.Side(isProxy);
        ref var other = ref connection.Side(!isProxy);
        if ((ready & Ready.Error) != 0 || !TryFlush(ref side) || ((ready & Ready.In) != 0 && !TryMove(ref side, ref other)))
            Reset(connection);
        else if (side.Ended && other.Ended)
            End(connection);
        else if (!TryAttend(connection))
            Reset(connection);
        else if ((ready & Ready.Hangup) != 0 && side.Interest == Ready.None)
            // Told again and again though nobody asks: both directions of it are closed, and what it sent still waits for the other side.
            Forget(ref side);
    }

    // What one side has sent goes to the other; what does not fit there waits, and with it whoever sent it.
    private bool TryMove(ref Side from, ref Side to)
    {
        if (from.Ended || to.Rest is not null)
            return true;
        var read = Libc.Receive(from.Descriptor, _buffer);
        if (read < 0)
            return IsForNow();
        if (read == 0)
        {
            from.Ended = true;
            return Libc.Shutdown(to.Descriptor, Libc.CloseWrite) == 0;
        }

        var sent = Libc.Send(to.Descriptor, _buffer.AsSpan(0, read));
        if (sent < 0 && !IsForNow())
            return false;
        sent = Math.Max(sent, 0);
        if (sent < read)
            (to.Rest, to.RestAt) = (_buffer[sent..read], 0);
        return true;
    }

    private static bool TryFlush(ref Side side)
    {
        if (side.Rest is not { } rest)
            return true;
        var sent = Libc.Send(side.Descriptor, rest.AsSpan(side.RestAt));
        if (sent < 0)
            return IsForNow();
        side.RestAt += sent;
        if (side.RestAt == rest.Length)
            side.Rest = null;
        return true;
    }

    private static bool IsForNow()
    {
        const int Interrupted = 4;
        return Marshal.GetLastPInvokeError() is LibcException.WouldBlock or Interrupted;
    }

    private bool TryAttend(Connection connection)
        => TryAttend(connection, false, !connection.IsConnected ? Ready.None : connection.Client.Wants(connection.Proxy))
            && TryAttend(connection, true, !connection.IsConnected ? Ready.Out : connection.Proxy.Wants(connection.Client));

    private bool TryAttend(Connection connection, bool isProxy, Ready interest)
    {
        ref var side = ref connection.Side(isProxy);
        var key = ((long)connection.Place << 1) | (isProxy ? 1L : 0);
        try
        {
            if (!side.IsWatched && (interest != Ready.None || !side.IsForgotten))
                _poll.Watch(side.Descriptor, key, interest);
            else if (side.IsWatched && side.Interest != interest)
                _poll.Change(side.Descriptor, key, interest);
            else
                return true;
        }
        catch (LibcException)
        {
            return false;
        }

        (side.IsWatched, side.IsForgotten, side.Interest) = (true, false, interest);
        return true;
    }

    private void Forget(ref Side side)
    {
        if (side.IsWatched)
            _poll.Forget(side.Descriptor);
        (side.IsWatched, side.IsForgotten) = (false, true);
    }

    private void End(Connection connection)
    {
        Leave(connection);
        _ = Libc.CloseDescriptor(connection.Client.Descriptor);
        _ = Libc.CloseDescriptor(connection.Proxy.Descriptor);
    }

    // What failed on one side fails on both, in both directions.
    private void Reset(Connection connection)
    {
        Leave(connection);
        Libc.Reset(connection.Client.Descriptor);
        Libc.Reset(connection.Proxy.Descriptor);
    }

    private void Leave(Connection connection)
    {
        // Not left to close(2): a child that has not begun its own program yet has them open as well.
        Forget(ref connection.Side(false));
        Forget(ref connection.Side(true));
        _connections[connection.Place] = null;
        _left.Add(connection.Place);
    }

    private sealed class Connection(int place)
    {
        private Side _client;
        private Side _proxy;

        public int Place { get; } = place;

        public bool IsConnected { get; set; }

        public Side Client { get => _client; init => _client = value; }

        public Side Proxy { get => _proxy; init => _proxy = value; }

        [SuppressMessage("Style", "IDE0251", Justification = "It hands out what is changed.")]
        public ref Side Side(bool isProxy) => ref isProxy ? ref _proxy : ref _client;
    }

    /// <param name="Descriptor">Its socket.</param>
    private record struct Side(int Descriptor)
    {
        /// <summary>What this side has still to be sent; null when nothing waits.</summary>
        public byte[]? Rest;
        public int RestAt;

        /// <summary>It sends no more, and the other side was told.</summary>
        public bool Ended;
        public bool IsWatched;
        public bool IsForgotten;
        public Ready Interest;

        public readonly Ready Wants(Side other)
            => (!Ended && other.Rest is null ? Ready.In : Ready.None) | (Rest is not null ? Ready.Out : Ready.None);
    }
}
