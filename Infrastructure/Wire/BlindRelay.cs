using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Discobot.Infrastructure.Native;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Infrastructure.Wire;

/// <summary>Copies bytes both ways between a client and an upstream socket, each direction ending by itself (half-close).</summary>
internal sealed class BlindRelay
{
    private const int BufferSize = 64 * 1024;

    /// <summary>Once one direction has ended, how long the other may be silent: a peer that vanished must not hold a tunnel for ever
    /// (squid's half_closed_clients and nginx's proxy_timeout guard against the same; 5 minutes lies between them).</summary>
    private static readonly TimeSpan HalfOpenSilence = TimeSpan.FromMinutes(5);

    private readonly PipeReader _input;
    private readonly ClientOutput _output;
    private readonly Socket _upstream;
    private readonly UpstreamBytes _bytes;
    private long _up;
    private long _down;

    private BlindRelay(ConnectionContext client, Socket upstream, UpstreamBytes bytes) =>
        (_input, _output, _upstream, _bytes) = (client.Transport.Input, new ClientOutput(client), upstream, bytes);

    /// <summary>Runs until both directions have ended, one failed, or <paramref name="cancellation"/>.</summary>
    /// <param name="idle">How long both directions may be silent.</param>
    /// <param name="client">Its ConnectionClosed is of no interest: Kestrel signals it when the client ends its own direction.</param>
    /// <returns>Bytes sent up and down.</returns>
    public static async Task<(long Up, long Down)> RunAsync(
        ConnectionContext client, Socket upstream, UpstreamBytes bytes, StreamIdle idle, CancellationToken cancellation)
    {
        var relay = new BlindRelay(client, upstream, bytes);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var up = Quietly(relay.UpAsync(stop.Token));
        var down = Quietly(relay.DownAsync(stop.Token));
        // A direction that ends in order leaves the other open; one that fails takes the other with it.
        var either = Task.WhenAny(up, down);
        await relay.OutlastAsync(either, idle.Limit);
        if (either.IsCompleted && await await either)
            await relay.OutlastAsync(await either == up ? down : up, idle.IsLimited && idle.Limit < HalfOpenSilence ? idle.Limit : HalfOpenSilence);
        await stop.CancelAsync();
        await Task.WhenAll(up, down);
        return (relay._up, relay._down);
    }

    // Waits for as long as anything moves.
    private async Task OutlastAsync(Task end, TimeSpan silence)
    {
        long moved;
        do
        {
            moved = Volatile.Read(ref _up) + Volatile.Read(ref _down);
            using var over = new CancellationTokenSource();
            await Task.WhenAny(end, Task.Delay(silence, over.Token));
            await over.CancelAsync();
        }
        while (!end.IsCompleted && moved != Volatile.Read(ref _up) + Volatile.Read(ref _down));
    }

    private async Task UpAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var read = await _input.ReadAsync(cancellation);
            foreach (var segment in read.Buffer)
            {
                var rest = segment;
                while (!rest.IsEmpty)
                {
                    var sent = await _upstream.SendAsync(rest, cancellation);
                    _up += sent;
                    _bytes.Sent(sent);
                    rest = rest[sent..];
                }
            }

            _input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                _upstream.Shutdown(SocketShutdown.Send);
                return;
            }
        }
    }

    private async Task DownAsync(CancellationToken cancellation)
    {
        // Waits with empty hands: an idle tunnel rents no buffer.
        do
            await _upstream.ReceiveAsync(Memory<byte>.Empty, cancellation);
        while (await PassOnAsync(cancellation));
        await _output.EndAsync();
    }

    /// <returns>False at the end of what the upstream sends.</returns>
    private async Task<bool> PassOnAsync(CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            do
            {
                var count = await _upstream.ReceiveAsync(buffer.AsMemory(0, BufferSize), cancellation);
                if (count == 0)
                    return false;
                await _output.SendAsync(buffer.AsMemory(0, count), cancellation);
                Passed(count);
                // More than an exchange of messages.
                if (count == BufferSize && _output.Socket is { } client && SplicePipe.TryCreate(out var pipe))
                    return await SpliceAsync(pipe, client, buffer, cancellation);
            }
            while (_upstream.Available > 0);
            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Passes on what the upstream has sent, without copying it. Measured against
    /// copying with bench/run.sh, line "socks": 0.80 -> 1.57 GB/s, 1.52 -> 0.44 CPU-seconds a GiB.</summary>
    /// <returns>False at the end of what the upstream sends.</returns>
    private async ValueTask<bool> SpliceAsync(SplicePipe pipe, Socket client, byte[] buffer, CancellationToken cancellation)
    {
        using (pipe)
        {
            // As long as both go on, nothing else comes to its turn here: not on a thread that other sockets wait for (EventThreads).
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            while (pipe.TryTake(_upstream.SafeHandle, out var taken))
            {
                if (taken == 0)
                    return false;
                while (pipe.Waiting > 0)
                {
                    // A client that takes no more just now can only be waited for by sending it something.
                    if (!pipe.TryPass(client.SafeHandle))
                        await _output.SendAsync(buffer.AsMemory(0, pipe.Read(buffer)), cancellation).AsTask().ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
                }

                Passed(taken);
            }
        }

        return true;
    }

    private void Passed(int count)
    {
        _down += count;
        _bytes.Received(count);
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
