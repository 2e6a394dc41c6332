using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>
/// Dials the addresses of a name as RFC 8305 says (Happy Eyeballs): the families in turns, a further address every 250 ms or as soon as one has
/// failed, and the first that answers wins.
/// </summary>
internal static class AddressRace
{
    /// <summary>RFC 8305, 5: Connection Attempt Delay.</summary>
    private static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);

    /// <param name="addresses">In the resolver's order (RFC 6724).</param>
    /// <param name="dial">Judges and dials one. A failure or a rule against it leads on to the next.</param>
    /// <param name="time">What the delay is measured by.</param>
    /// <param name="cancellation">The limit for all of them.</param>
    /// <exception cref="SocketException">None answers.</exception>
    /// <exception cref="DialRefusedException">None may be dialled, or one leads back to us.</exception>
    public static async Task<DialledSocket> RunAsync(
        IReadOnlyList<IPAddress> addresses, Func<IPAddress, CancellationToken, Task<DialledSocket>> dial, TimeProvider time, CancellationToken cancellation)
    {
        if (addresses.Count == 1)
            return await dial(addresses[0], cancellation);
        var left = new Queue<IPAddress>(Interleave(addresses));
        var running = new List<Task<DialledSocket>>();
        var failures = new List<Exception>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            while (left.TryDequeue(out var address) || running.Count > 0)
            {
                if (address is not null)
                    running.Add(dial(address, stop.Token));
                var done = await FirstAsync(running, left.Count > 0, time, stop.Token);
                if (done is null)
                    continue;
                running.Remove(done);
                if (done.IsCompletedSuccessfully)
                    return await done;
                failures.Add(await FailureOfAsync(done));
            }
        }
        finally
        {
            await stop.CancelAsync();
            foreach (var late in running)
                _ = DropAsync(late);
        }

        // What the network said tells more than a rule about an address that would not have been needed.
        throw failures.Find(f => f is SocketException) ?? failures.Find(f => f is DialRefusedException) ?? new SocketException((int)SocketError.NoData);
    }

    /// <summary>RFC 8305, 4: the family of the first address and the other in turns.</summary>
    internal static IEnumerable<IPAddress> Interleave(IReadOnlyList<IPAddress> addresses)
    {
        var (first, other) = (new Queue<IPAddress>(), new Queue<IPAddress>());
        foreach (var address in addresses)
            (address.AddressFamily == addresses[0].AddressFamily ? first : other).Enqueue(address);
        for (var turn = first; first.Count + other.Count > 0; turn = turn == first ? other : first)
        {
            if (turn.TryDequeue(out var next))
                yield return next;
        }
    }

    /// <returns>One that is done, or null when the next address has its turn.</returns>
    private static async Task<Task<DialledSocket>?> FirstAsync(List<Task<DialledSocket>> running, bool more, TimeProvider time, CancellationToken cancellation)
    {
        if (!more)
            return await Task.WhenAny(running);
        if (running.Find(r => r.IsCompleted) is { } already)
            return already;
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var delay = Task.Delay(AttemptDelay, time, timer.Token);
        var done = await Task.WhenAny([.. running, delay]);
        await timer.CancelAsync();
        return done as Task<DialledSocket>;
    }

    private static async Task<Exception> FailureOfAsync(Task<DialledSocket> failed)
    {
        try
        {
            await failed;
            throw new InvalidOperationException();
        }
        catch (Exception e) when (e is SocketException or DialRefusedException { Error.Status: not StatusCodes.Status508LoopDetected })
        {
            return e;
        }
    }

    private static async Task DropAsync(Task<DialledSocket> late)
    {
        try
        {
            (await late).Socket.Dispose();
        }
        catch (Exception e) when (e is SocketException or DialRefusedException or OperationCanceledException)
        {
            // It lost the race.
        }
    }
}
