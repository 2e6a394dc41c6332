using System.Net.Sockets;

namespace Discobot.Tests.Fixtures;

/// <summary>What every server of a test does first.</summary>
internal static class Accepting
{
    /// <summary>Serves each connection beside the others, until the listener is disposed.</summary>
    public static async Task ServeEachAsync(this TcpListener listener, Func<TcpClient, Task> serve)
    {
        try
        {
            while (true)
                _ = serve(await listener.AcceptTcpClientAsync());
        }
        catch (Exception e) when (e is SocketException or InvalidOperationException)
        {
            // Disposed.
        }
    }
}
