using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>
/// The way back to a client whose connection is relayed, past the transport's output pipe where there is a socket: completing that pipe
/// shuts both directions down, and a tunnel whose upstream is done must still carry what the client has to say.
/// </summary>
/// <remarks>Bytes sent here overtake bytes still in the pipe: a connection that is going to be relayed uses only one of the two.</remarks>
internal sealed class ClientOutput(ConnectionContext connection)
{
    /// <summary>Null where the connection has none.</summary>
    public Socket? Socket { get; } = connection.Features.Get<IConnectionSocketFeature>()?.Socket;

    /// <exception cref="IOException">The client is gone.</exception>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        if (Socket is null)
        {
            if ((await connection.Transport.Output.WriteAsync(bytes, cancellation)).IsCompleted)
                throw new ConnectionAbortedException("The client reads no more.");
            return;
        }

        try
        {
            while (!bytes.IsEmpty)
                bytes = bytes[await Socket.SendAsync(bytes, cancellation)..];
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException("The client is gone.", e);
        }
    }

    /// <summary>Tells the client that no more will come; it may go on sending.</summary>
    public async ValueTask EndAsync()
    {
        if (Socket is null)
            await connection.Transport.Output.CompleteAsync();
        else
            Socket.Shutdown(SocketShutdown.Send);
    }
}
