using System.Net.Sockets;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure.Wire;

/// <summary>Runs the two directions of a relay, each ending by itself (half-close).</summary>
internal static class BothWays
{
    /// <summary>Once one direction has ended, how long the other may be silent: a peer that vanished must not hold a tunnel for ever
    /// (squid's half_closed_clients and nginx's proxy_timeout guard against the same; 5 minutes lies between them).</summary>
    private static readonly TimeSpan HalfOpenSilence = TimeSpan.FromMinutes(5);

    /// <summary>Runs until both directions have ended, one failed, or <paramref name="cancellation"/>.</summary>
    /// <param name="up">Copies until there is no more, and tells the receiver so.</param>
    /// <param name="down">The same the other way.</param>
    /// <param name="moved">How many bytes both have passed on so far; read from any thread.</param>
    /// <param name="idle">How long both directions may be silent.</param>
    /// <param name="cancellation">Ends both.</param>
    public static async Task RunAsync(
        Func<CancellationToken, Task> up, Func<CancellationToken, Task> down, Func<long> moved, StreamIdle idle, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var upward = Quietly(up(stop.Token));
        var downward = Quietly(down(stop.Token));
        // A direction that ends in order leaves the other open; one that fails takes the other with it.
        var either = Task.WhenAny(upward, downward);
        await OutlastAsync(either, moved, idle.Limit, idle.Time);
        if (either.IsCompleted && await await either)
        {
            var other = await either == upward ? downward : upward;
            await OutlastAsync(other, moved, idle);
        }

        await stop.CancelAsync();
        await Task.WhenAll(upward, downward);
    }

    /// <summary>Waits for the other direction, as long as anything moves.</summary>
    public static Task OutlastAsync(Task other, Func<long> moved, StreamIdle idle) => OutlastAsync(other, moved, idle.IsLimited && idle.Limit < HalfOpenSilence ? idle.Limit : HalfOpenSilence, idle.Time);

    /// <summary>Whether a direction failed since its peer had reset the connection.</summary>
    public static bool IsReset(Exception failure)
    {
        for (var e = failure; e is not null; e = e.InnerException)
        {
            if (e is SocketException { SocketErrorCode: SocketError.ConnectionReset } or LibcException { Number: LibcException.ConnectionReset }
                or Microsoft.AspNetCore.Connections.ConnectionResetException)
                return true;
        }

        return false;
    }

    // Waits for as long as anything moves.
    private static async Task OutlastAsync(Task end, Func<long> moved, TimeSpan silence, TimeProvider? time)
    {
        long before;
        do
        {
            before = moved();
            using var over = new CancellationTokenSource();
            await Task.WhenAny(end, Task.Delay(silence, time ?? TimeProvider.System, over.Token));
            await over.CancelAsync();
        }
        while (!end.IsCompleted && before != moved());
    }

    /// <returns>Whether the direction ended in order.</returns>
    private static async Task<bool> Quietly(Task direction)
    {
        try
        {
            await direction;
            return true;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            return false;
        }
    }
}
