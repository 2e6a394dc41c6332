using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Cache.Bodies;

public sealed class BodySenderTests
{
    [Fact]
    public async Task A_client_that_closes_with_the_last_byte_in_hand_has_been_served() =>
        Assert.Equal(1000, await SendToClosedAsync(new Zeros(1000)));

    [Fact]
    public async Task A_client_that_closes_before_the_last_byte_has_left()
    {
        var body = new Zeros(BodySender.ChunkSize + 1);
        await Assert.ThrowsAsync<OperationCanceledException>(() => SendToClosedAsync(body));
        Assert.Equal(BodySender.ChunkSize, body.Position);
    }

    // Each flush says that the other side is gone, as it does when the last byte was taken and the connection closed before the flush was over.
    private static async Task<long> SendToClosedAsync(Zeros body)
    {
        var connection = new Pipe();
        await connection.Reader.CompleteAsync();
        var context = new DefaultHttpContext();
        context.Features.Set<IHttpResponseBodyFeature>(new WriterFeature(connection.Writer));
        return await BodySender.SendAsync(context.Response, body, long.MaxValue, CancellationToken.None);
    }

    private sealed class Zeros(int length) : IBodyReader
    {
        public long Position { get; private set; }

        public ValueTask<bool> WaitAsync(long end, CancellationToken cancel) => new(Position < Math.Min(end, length));

        public int Read(Span<byte> buffer, long end)
        {
            var count = (int)Math.Min(buffer.Length, length - Position);
            buffer[..count].Clear();
            Position += count;
            return count;
        }

        public void Dispose()
        {
        }
    }

    private sealed class WriterFeature(PipeWriter writer) : IHttpResponseBodyFeature
    {
        public Stream Stream => writer.AsStream();

        public PipeWriter Writer => writer;

        public Task CompleteAsync() => Task.CompletedTask;

        public void DisableBuffering()
        {
        }

        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException();

        public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;
    }
}
