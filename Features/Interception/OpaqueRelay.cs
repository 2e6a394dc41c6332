using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Discobot.Features.Interception;

/// <summary>A TLS connection to a server, from which nobody knows yet who speaks first.</summary>
/// <param name="tls">Owned.</param>
/// <param name="socket">Beneath it.</param>
/// <param name="address">The address that was dialled; null behind a parent proxy.</param>
internal sealed class OpaqueServer(SslStream tls, Socket socket, IPAddress? address) : IAsyncDisposable
{
    private const int PieceSize = 16 << 10;
    private readonly byte[] _piece = new byte[PieceSize];
    private Task<int>? _greeting;

    public SslStream Tls => tls;

    public Socket Socket => socket;

    public IPAddress? Address => address;

    /// <summary>Completes when the server has said something, ended, or failed. What it said is read by <see cref="ReadAsync"/>.</summary>
    public Task Greeting => _greeting ??= tls.ReadAsync(_piece).AsTask();

    /// <summary>Whether it said something, rather than to give up on us.</summary>
    public async ValueTask<bool> SpeaksAsync()
    {
        try
        {
            return await _greeting! > 0;
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <returns>The next bytes, valid until the next call; empty at the end.</returns>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellation)
    {
        if (_greeting is { } greeting)
        {
            _greeting = null;
            return _piece.AsMemory(0, await greeting.WaitAsync(cancellation));
        }

        return _piece.AsMemory(0, await tls.ReadAsync(_piece, cancellation));
    }

    public async ValueTask DisposeAsync()
    {
        await tls.DisposeAsync();
        if (_greeting is not null)
            await SpeaksAsync();
    }
}

/// <summary>The two directions between the TLS of a client and that of a server.</summary>
internal sealed class OpaqueRelay
{
    private readonly ConnectionContext _client;
    private readonly SslStream _tls;
    private readonly OpaqueServer _server;
    private readonly RelayedPeer _clientPeer;
    private readonly RelayedPeer _serverPeer;
    private long _up;
    private long _down;

    /// <param name="client">What the client sent and has not been read is still in it.</param>
    /// <param name="tls">The client's.</param>
    /// <param name="server">Disposed by others.</param>
    public OpaqueRelay(ConnectionContext client, SslStream tls, OpaqueServer server)
    {
        (_client, _tls, _server) = (client, tls, server);
        (_clientPeer, _serverPeer) = (new RelayedPeer(client.Features.Get<IConnectionSocketFeature>()?.Socket), new RelayedPeer(server.Socket));
    }

    public long Up => Volatile.Read(ref _up);

    public long Down => Volatile.Read(ref _down);

    public Task UpAsync(CancellationToken cancellation) => PassAsync(SendUpAsync, cancellation);

    public Task DownAsync(CancellationToken cancellation) => PassAsync(SendDownAsync, cancellation);

    // A reset is no orderly end: what ends with the connection would look whole to the other side.
    private async Task PassAsync(Func<CancellationToken, Task> direction, CancellationToken cancellation)
    {
        try
        {
            await direction(cancellation);
        }
        catch (Exception)
        {
            if (_clientPeer.IsReset)
                Reset(_server.Socket);
            if (_serverPeer.IsReset)
            {
                if (_client.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
                    Reset(socket);
                _client.Abort(new ConnectionAbortedException("The server has reset its connection."));
            }

            throw;
        }
    }

    private async Task SendUpAsync(CancellationToken cancellation)
    {
        var input = _client.Transport.Input;
        while (true)
        {
            var read = await _clientPeer.ReadAsync(input.ReadAsync(cancellation));
            foreach (var segment in read.Buffer)
            {
                await _serverPeer.WriteAsync(_server.Tls.WriteAsync(segment, cancellation));
                _up += segment.Length;
            }

            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
                break;
        }

        await _clientPeer.EndAsync();
        // The end of one direction is said in TLS (RFC 8446, 6.1).
        await TlsEnd.SayAsync(_server.Tls);
    }

    private async Task SendDownAsync(CancellationToken cancellation)
    {
        while (await _serverPeer.ReadAsync(_server.ReadAsync(cancellation)) is { IsEmpty: false } piece)
        {
            await _clientPeer.WriteAsync(SendAsync(piece, cancellation));
            _down += piece.Length;
        }

        await _serverPeer.EndAsync();
        await TlsEnd.SayAsync(_tls);
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation) => await _client.Transport.Output.WriteAsync(piece, cancellation);

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
            // The stream would say the end in order first.
            socket.Dispose();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended by itself.
        }
    }
}
