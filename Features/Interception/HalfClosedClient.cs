using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Discobot.Features.Interception;

/// <summary>
/// BusyBox's wget asks a proxy for an https page by <c>GET https://…</c> and ends its own direction after that (it takes the proxy for
/// its TLS helper). TCP allows it, and Kestrel takes it for a client that left. On Alpine's minimal root it is the only client there is,
/// so for such requests it counts whether the connection is gone altogether.
/// </summary>
internal static class HalfClosedClient
{
    private const int TcpLevel = 6;
    private const int TcpInfo = 11; // tcp(7); the first byte is the state
    private const byte Established = 1;
    private const byte CloseWait = 8;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    /// <summary>Runs <paramref name="next"/>; where it applies, with a ConnectionClosed of that meaning.</summary>
    public static async Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket || !AsksForHttps(connection.Transport.Input))
        {
            await next(connection);
            return;
        }

        using var gone = new CancellationTokenSource();
        using var done = new CancellationTokenSource();
        using var closed = connection.ConnectionClosed.Register(() => _ = WatchAsync(socket, gone, done.Token));
        connection.ConnectionClosed = gone.Token;
        try
        {
            await next(connection);
        }
        finally
        {
            await done.CancelAsync();
        }
    }

    // Only what is here already is looked at: a request that small arrives at once, and nobody is waited for.
    private static bool AsksForHttps(PipeReader input)
    {
        if (!input.TryRead(out var read))
            return false;
        var line = Encoding.Latin1.GetString(read.Buffer.FirstSpan[..Math.Min(read.Buffer.FirstSpan.Length, 20)]);
        input.AdvanceTo(read.Buffer.Start);
        return line.Contains(" https://", StringComparison.OrdinalIgnoreCase);
    }

    private static async Task WatchAsync(Socket socket, CancellationTokenSource gone, CancellationToken done)
    {
        while (!done.IsCancellationRequested && IsHalfOpen(socket))
            await Task.Delay(Poll, done).ContinueWith(static _ => { }, TaskScheduler.Default);
        if (!done.IsCancellationRequested)
            await gone.CancelAsync();
    }

    private static bool IsHalfOpen(Socket socket)
    {
        try
        {
            var state = new byte[1];
            socket.GetRawSocketOption(TcpLevel, TcpInfo, state);
            return state[0] is Established or CloseWait;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }
}
