using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.Interception;

/// <summary>A TLS connection to a server, from which nobody knows yet who speaks first.</summary>
/// <param name="tls">Owned.</param>
/// <param name="address">The address that was dialled; null behind a parent proxy.</param>
internal sealed class OpaqueServer(SslStream tls, IPAddress? address) : IAsyncDisposable
{
    private const int PieceSize = 16 << 10;
    private readonly byte[] _piece = new byte[PieceSize];
    private Task<int>? _greeting;

    public SslStream Tls => tls;

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
/// <param name="client">What the client sent and has not been read is still in it.</param>
/// <param name="tls">The client's.</param>
/// <param name="server">Disposed by others.</param>
internal sealed class OpaqueRelay(ConnectionContext client, SslStream tls, OpaqueServer server)
{
    private long _up;
    private long _down;

    public long Up => Volatile.Read(ref _up);

    public long Down => Volatile.Read(ref _down);

    public async Task UpAsync(CancellationToken cancellation)
    {
        var input = client.Transport.Input;
        while (true)
        {
            var read = await input.ReadAsync(cancellation);
            foreach (var segment in read.Buffer)
            {
                await server.Tls.WriteAsync(segment, cancellation);
                _up += segment.Length;
            }

            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
                break;
        }

        // The end of one direction is said in TLS (RFC 8446, 6.1).
        await TlsEnd.SayAsync(server.Tls);
    }

    public async Task DownAsync(CancellationToken cancellation)
    {
        while (await server.ReadAsync(cancellation) is { IsEmpty: false } piece)
        {
            await client.Transport.Output.WriteAsync(piece, cancellation);
            _down += piece.Length;
        }

        await TlsEnd.SayAsync(tls);
    }
}
