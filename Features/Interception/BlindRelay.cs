using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Discobot.Features.Interception;

/// <summary>Copies bytes both ways between a client's connection and an upstream socket, each direction ending by itself (half-close).</summary>
internal static class BlindRelay
{
    private const int BufferSize = 64 * 1024;

    /// <summary>Runs until both directions have ended, one failed, or <paramref name="cancellation"/>.</summary>
    /// <returns>Bytes sent up and down.</returns>
    public static async Task<(long Up, long Down)> RunAsync(IDuplexPipe client, Socket upstream, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var up = UpAsync(client.Input, upstream, stop.Token);
        var down = DownAsync(upstream, client.Output, stop.Token);
        // A direction that ends in order leaves the other open; one that fails takes the other with it.
        var first = await Task.WhenAny(up, down);
        if (!first.IsCompletedSuccessfully || first.Result < 0)
            await stop.CancelAsync();
        var sent = await Quietly(up);
        var received = await Quietly(down);
        return (Math.Abs(sent), Math.Abs(received));
    }

    private static async Task<long> UpAsync(PipeReader input, Socket upstream, CancellationToken cancellation)
    {
        long total = 0;
        while (true)
        {
            var read = await input.ReadAsync(cancellation);
            foreach (var segment in read.Buffer)
            {
                var rest = segment;
                while (!rest.IsEmpty)
                {
                    var sent = await upstream.SendAsync(rest, cancellation);
                    total += sent;
                    rest = rest[sent..];
                }
            }

            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                upstream.Shutdown(SocketShutdown.Send);
                return total;
            }
        }
    }

    private static async Task<long> DownAsync(Socket upstream, PipeWriter output, CancellationToken cancellation)
    {
        long total = 0;
        while (true)
        {
            var memory = output.GetMemory(BufferSize);
            var count = await upstream.ReceiveAsync(memory, cancellation);
            if (count == 0)
            {
                await output.CompleteAsync();
                return total;
            }

            total += count;
            output.Advance(count);
            if ((await output.FlushAsync(cancellation)).IsCompleted)
                return -total;
        }
    }

    private static async Task<long> Quietly(Task<long> direction)
    {
        try
        {
            return await direction;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException)
        {
            return 0;
        }
    }
}
