using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Interception.Entries;

/// <summary>
/// Accepts connections. Kestrel's own listener takes every failure of accept(2) for a client that left and tries again at once, which with no
/// descriptor left is a loop that takes a whole core.
/// </summary>
internal sealed class ClientListeners(IOptions<SocketTransportOptions> options, ILoggerFactory logs) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint;

    /// <exception cref="IOException">Nothing can listen there; the inner one says why.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket? socket = null;
        try
        {
            socket = options.Value.CreateBoundListenSocket(endpoint);
            KeepAlive.Use(socket);
            socket.Listen(options.Value.Backlog);
            return new(new ClientListener(socket, options.Value, logs));
        }
        catch (Exception error)
        {
            socket?.Dispose();
            if (error is SocketException failure)
                throw new IOException($"cannot listen on {endpoint}: {failure.Message}", failure);
            throw;
        }
    }
}

/// <summary>One listening socket.</summary>
internal sealed partial class ClientListener : IConnectionListener
{
    /// <summary>How often it is tried again while nothing can be accepted.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>Milliseconds.</summary>
    private const long TellAgain = 60_000;

    private readonly Socket _socket;
    private readonly SocketConnectionContextFactory _connections;
    private readonly ILogger<ClientListener> _log;
    private readonly CancellationTokenSource _unbound = new();
    private SafeFileHandle? _reserve = OpenReserve();
    private bool _isExhausted;
    private long _told = -TellAgain - 1;

    public ClientListener(Socket socket, SocketTransportOptions options, ILoggerFactory logs)
    {
        (_socket, _log, EndPoint) = (socket, logs.CreateLogger<ClientListener>(), socket.LocalEndPoint!);
        var connections = new SocketConnectionFactoryOptions
        {
            IOQueueCount = options.IOQueueCount,
            MaxReadBufferSize = options.MaxReadBufferSize,
            MaxWriteBufferSize = options.MaxWriteBufferSize,
            UnsafePreferInlineScheduling = options.UnsafePreferInlineScheduling,
            WaitForDataBeforeAllocatingBuffer = options.WaitForDataBeforeAllocatingBuffer,
        };
        _connections = new SocketConnectionContextFactory(connections, logs.CreateLogger<SocketConnectionContextFactory>());
    }

    public EndPoint EndPoint { get; }

    /// <returns>Null once it is unbound.</returns>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                var accepted = await _socket.AcceptAsync(cancellationToken);
                Recover();
                accepted.NoDelay = true;
                return _connections.Create(accepted);
            }
            catch (SocketException e) when (Descriptors.AreExhausted(e))
            {
                if (!await WaitAsync())
                    return null;
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted or SocketError.InvalidArgument })
            {
                return null;
            }
            catch (SocketException)
            {
                // The client left before its turn came.
            }
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _unbound.Cancel();
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await UnbindAsync();
        _reserve?.Dispose();
        _connections.Dispose();
    }

    /// <returns>False when it is unbound meanwhile.</returns>
    private async ValueTask<bool> WaitAsync()
    {
        // It may come and go with every connection: that is told once a minute.
        if (!_isExhausted && Environment.TickCount64 - _told > TellAgain)
        {
            _told = Environment.TickCount64;
            LogExhausted(EndPoint, Descriptors.MostClients());
        }

        _isExhausted = true;
        await TurnAwayAsync();
        await Task.Delay(Pause, _unbound.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
        return !_unbound.IsCancellationRequested;
    }

    // With the descriptor kept for this, one client learns that it is not served, instead of waiting in the queue for ever.
    private async ValueTask TurnAwayAsync()
    {
        if (_reserve is null)
            return;
        _reserve.Dispose();
        try
        {
            using var limit = new CancellationTokenSource(Pause);
            using var refused = await _socket.AcceptAsync(limit.Token);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Somebody else was quicker, or the client left.
        }

        _reserve = OpenReserve();
    }

    private void Recover()
    {
        if (!_isExhausted)
            return;
        _reserve ??= OpenReserve();
        _isExhausted = false;
    }

    private static SafeFileHandle? OpenReserve()
    {
        try
        {
            return File.OpenHandle("/dev/null");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "no file descriptors left, clients are turned away {Listener} {Enough}: raise the limit (ulimit -n, docker run --ulimit nofile=)")]
    private partial void LogExhausted(EndPoint listener, int enough);
}
