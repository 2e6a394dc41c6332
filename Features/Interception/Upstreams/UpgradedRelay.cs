using System.Buffers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Bytes both ways after an upgrade, until both directions have ended, or one has failed.</summary>
internal static class UpgradedRelay
{
    private const int PieceSize = 16 << 10;

    /// <param name="client">The upgraded connection of the client.</param>
    /// <param name="server">That of the server.</param>
    /// <param name="idle">Milliseconds that both directions may be silent; negative: for ever.</param>
    /// <param name="flow">Counts the bytes.</param>
    /// <param name="stop">The proxy is about to end.</param>
    public static async Task RunAsync(Stream client, Http1Connection server, long idle, Flow? flow, CancellationToken stop)
    {
        Moved(server, idle);
        using var registration = stop.UnsafeRegister(static s => ((Http1Connection)s!).Abort(new OperationCanceledException("The proxy ends.")), server);
        var moved = 0L;
        var peers = (Client: new RelayedPeer((client as UpgradedStream)?.Socket), Server: new RelayedPeer(server.Socket));
        var up = UpAsync(client, server, peers, idle, flow, () => Interlocked.Increment(ref moved));
        var down = DownAsync(client, server, peers, idle, flow);
        if (await Task.WhenAny(up, down) == up)
        {
            // The client has said all it has to say, and may still listen.
            if (await up)
                await down;
        }
        else if (await down && client is UpgradedStream half && await TryEndAsync(half))
        {
            // So has the server, which may still listen.
            await BothWays.OutlastAsync(Task.WhenAny(up, Task.Delay(Timeout.InfiniteTimeSpan, stop)), () => Interlocked.Read(ref moved), new StreamIdle(idle < 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(idle)));
        }

        // A reset is no orderly end, and is not to look like one to the other.
        if (peers.Server.IsReset && client is UpgradedStream gone)
            gone.Reset();
        var over = new OperationCanceledException("The other side is gone.");
        if (peers.Client.IsReset)
            server.Reset(over);
        else
            server.Abort(over);
        // The client's stream ends with its request; a read that still waits for it is woken by that.
        await down;
    }

    private static async Task<bool> TryEndAsync(UpgradedStream client)
    {
        try
        {
            await client.EndOutputAsync();
            return true;
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            return false;
        }
    }

    private static void Moved(Http1Connection server, long idle)
    {
        if (idle >= 0)
            server.Deadline = Environment.TickCount64 + idle;
    }

    /// <returns>Whether it ended in order.</returns>
    private static async Task<bool> UpAsync(Stream client, Http1Connection server, (RelayedPeer Client, RelayedPeer Server) peers, long idle, Flow? flow, Action moved)
    {
        try
        {
            while (true)
            {
                // No buffer is held for somebody who is silent.
                _ = await peers.Client.ReadAsync(client.ReadAsync(Memory<byte>.Empty));
                using var piece = MemoryPool<byte>.Shared.Rent(PieceSize);
                var count = await peers.Client.ReadAsync(client.ReadAsync(piece.Memory));
                if (count == 0)
                    break;
                await peers.Server.WriteAsync(server.WriteAsync(piece.Memory[..count]));
                flow?.RequestBytes += count;
                moved();
                Moved(server, idle);
            }

            await peers.Client.EndAsync();
            await server.EndOutputAsync();
            return true;
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException or TimeoutException)
        {
            return false;
        }
    }

    private static async Task<bool> DownAsync(Stream client, Http1Connection server, (RelayedPeer Client, RelayedPeer Server) peers, long idle, Flow? flow)
    {
        try
        {
            while (true)
            {
                await peers.Server.WaitAsync(server.WaitAsync());
                using var piece = MemoryPool<byte>.Shared.Rent(PieceSize);
                var count = await peers.Server.ReadAsync(server.ReadAsync(piece.Memory));
                if (count == 0)
                    break;
                await peers.Client.WriteAsync(client.WriteAsync(piece.Memory[..count]));
                await client.FlushAsync();
                flow?.ResponseBytes += count;
                Moved(server, idle);
            }

            await peers.Server.EndAsync();
            return true;
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException or TimeoutException)
        {
            // One of the two is gone.
            return false;
        }
    }
}

/// <summary>A WebSocket over HTTP/2 (RFC 8441) that goes on by HTTP/1.1.</summary>
internal sealed class WebSocketUpgrade
{
    private readonly IHttpExtendedConnectFeature _connect;
    private readonly string _key;

    private WebSocketUpgrade(IHttpExtendedConnectFeature connect, string key) => (_connect, _key) = (connect, key);

    /// <returns>Null: it is none.</returns>
    public static WebSocketUpgrade? Of(HttpContext context, FieldList fields)
    {
        if (context.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true } connect
            || !string.Equals(connect.Protocol, "websocket", StringComparison.OrdinalIgnoreCase))
            return null;
        var key = Convert.ToBase64String(RandomNumberGenerator.GetBytes(16));
        fields.Set(HeaderNames.SecWebSocketKey, key);
        if (!fields.Contains(HeaderNames.SecWebSocketVersion))
            fields.Add(HeaderNames.SecWebSocketVersion, "13");
        return new WebSocketUpgrade(connect, key);
    }

    /// <summary>The client sees no key, so that it is ours to check (RFC 6455, 4.1).</summary>
    public void Check(ResponseHead head)
    {
#pragma warning disable CA5350 // The protocol's choice; it keeps no secret.
        var expected = Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(_key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350
        if (AnswerFields.Text(head, "Sec-WebSocket-Accept"u8) != expected)
            throw new MalformedMessageException("its Sec-WebSocket-Accept does not fit");
    }

    public async ValueTask<Stream> AcceptAsync(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status200OK;
        context.Response.Headers.Remove(HeaderNames.SecWebSocketAccept);
        return await _connect.AcceptAsync();
    }
}
