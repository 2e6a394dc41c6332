using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;

namespace Discobot.Infrastructure.Http1;

public sealed class Http1ConnectionTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("head", true)]
    [InlineData("head", false)]
    [InlineData("body", true)]
    [InlineData("body", false)]
    public async Task Who_waits_for_the_server_learns_why_it_was_ended_and_takes_it_for_no_end_in_order(string what, bool looksOrderly)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndpoint);
        using var server = await listener.AcceptSocketAsync();
        using var connection = Over(looksOrderly ? new ShutStream(socket) : new NetworkStream(socket, ownsSocket: true));
        var waiting = what == "head" ? connection.ReadHeadAsync().AsTask() : connection.ReadAsync(new byte[64 << 10]).AsTask();

        connection.Abort(new TimeoutException("too late"));

        Assert.Equal("too late", (await Assert.ThrowsAsync<TimeoutException>(() => waiting.WaitAsync(Limit))).Message);
    }

    private static Http1Connection Over(NetworkStream transport) =>
        new(transport, transport, new Http1Origin("http", new ConnectTarget("localhost", 80)));

    // Disposing shuts down first, and who reads may see that alone.
    private sealed class ShutStream(Socket socket) : NetworkStream(socket, ownsSocket: true)
    {
        protected override void Dispose(bool disposing)
        {
            if (disposing && Socket.Connected)
                Socket.Shutdown(SocketShutdown.Both);
            base.Dispose(disposing: false);
        }
    }
}
