using System.IO.Pipelines;
using System.Security.Cryptography;

namespace Discobot.Infrastructure.Wire.Streams;

public class ReadAheadStreamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(16_406)]
    [InlineData(200_000)]
    public async Task Bytes_arrive_in_order_whatever_the_sizes_of_reads_and_writes(int readSize)
    {
        var pipe = new Pipe();
        await using var stream = new ReadAheadStream(pipe.Reader.AsStream());
        var sent = RandomNumberGenerator.GetBytes(readSize == 1 ? 3_000 : 600_000);
        var writing = Task.Run(async () =>
        {
            for (int at = 0, size = 1; at < sent.Length; at += size, size = (size * 7) % 50_000 + 1)
                await pipe.Writer.WriteAsync(sent.AsMemory(at, Math.Min(size, sent.Length - at)));
            await pipe.Writer.CompleteAsync();
        });
        var received = new MemoryStream();
        var buffer = new byte[readSize];
        for (int read; (read = await stream.ReadAsync(buffer)) > 0;)
            received.Write(buffer, 0, read);
        await writing;
        Assert.Equal(sent, received.ToArray());
        Assert.Equal(0, await stream.ReadAsync(buffer));
    }

    [Fact]
    public async Task An_empty_read_ends_when_there_is_something_to_read_and_takes_nothing()
    {
        var (client, server) = await ConnectAsync();
        await using var stream = new ReadAheadStream(client);
        var waiting = stream.ReadAsync(Memory<byte>.Empty).AsTask();
        // By time: that it goes on waiting.
        await Task.Delay(20);
        Assert.False(waiting.IsCompleted);
        await server.WriteAsync(new byte[] { 1, 2, 3 });
        Assert.Equal(0, await waiting.WaitAsync(TimeSpan.FromSeconds(5)));
        var buffer = new byte[2];
        Assert.Equal(2, await stream.ReadAsync(buffer));
        Assert.True(stream.ReadAsync(Memory<byte>.Empty).AsTask().IsCompleted);
        Assert.Equal(1, await stream.ReadAsync(buffer));
        Assert.Equal(3, buffer[0]);
        await server.DisposeAsync();
    }

    [Fact]
    public async Task A_cancelled_read_loses_nothing()
    {
        var (client, server) = await ConnectAsync();
        await using var stream = new ReadAheadStream(client);
        using var cancel = new CancellationTokenSource(10);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stream.ReadAsync(new byte[10], cancel.Token).AsTask());
        await server.WriteAsync(new byte[] { 7 });
        var buffer = new byte[10];
        Assert.Equal(1, await stream.ReadAsync(buffer));
        Assert.Equal(7, buffer[0]);
        await server.DisposeAsync();
    }

    private static async Task<(Stream Client, Stream Server)> ConnectAsync()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        var client = new System.Net.Sockets.TcpClient();
        var accepting = listener.AcceptTcpClientAsync();
        await client.ConnectAsync((System.Net.IPEndPoint)listener.LocalEndpoint);
        return (client.GetStream(), (await accepting).GetStream());
    }
}
