using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Who has reset an upgraded connection, when it shows to whoever writes.</summary>
public sealed class UpgradedRelayTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(SocketError.ConnectionReset, "reset")]
    // It had ended its direction before.
    [InlineData(SocketError.Shutdown, "end")]
    public async Task A_client_that_resets_while_it_is_written_to_is_the_one_who_did(SocketError error, string ending)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndpoint);
        using var server = await listener.AcceptSocketAsync();
        var transport = new NetworkStream(socket, ownsSocket: true);
        using var connection = new Http1Connection(transport, transport, new Http1Origin("http", new ConnectTarget("localhost", 80)));
        var relay = UpgradedRelay.RunAsync(new BrokenClient(error), connection, idle: -1, flow: null, CancellationToken.None);

        await server.SendAsync("x"u8.ToArray());
        await relay.WaitAsync(Limit);

        var read = server.ReceiveAsync(new byte[1]).WaitAsync(Limit);
        Assert.Equal(ending, await read.ContinueWith(static r => r.Exception?.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset } ? "reset" : "end", TaskScheduler.Default));
    }

    // Nothing comes from it, and it can be sent nothing.
    private sealed class BrokenClient(SocketError error) : Stream
    {
        private readonly Pipe _silence = new();

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            _silence.Reader.AsStream().ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            ValueTask.FromException(new IOException("broken", new SocketException((int)error)));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
