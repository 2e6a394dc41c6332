using System.Net;
using System.Net.Sockets;

namespace Discobot.Features.Init.Checks;

/// <summary>
/// Stands before the proxy for one client: passes its bytes on, and knows afterwards whether it came. What a client prints cannot tell that:
/// one that goes past the proxy gets its page as well.
/// </summary>
internal sealed class ProxyWitness : IDisposable
{
    private const int MostConnections = 64;
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _ended = new();
    private readonly IPEndPoint _proxy;

    /// <param name="proxy">Where the proxy listens.</param>
    public ProxyWitness(IPEndPoint proxy)
    {
        _proxy = proxy;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(MostConnections);
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>Whether the client has connected.</summary>
    public bool Saw { get; private set; }

    public void Dispose()
    {
        _ended.Cancel();
        _listener.Dispose();
        _ended.Dispose();
    }

    private async Task AcceptAsync()
    {
        var stop = _ended.Token;
        try
        {
            for (var i = 0; i < MostConnections; i++)
            {
                var client = await _listener.AcceptAsync(stop);
                Saw = true;
                _ = RelayAsync(client, stop);
            }
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client was tried.
        }
    }

    private async Task RelayAsync(Socket client, CancellationToken stop)
    {
        using var from = client;
        using var to = new Socket(_proxy.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await to.ConnectAsync(_proxy, stop);
            await Task.WhenAll(CopyAsync(from, to, stop), CopyAsync(to, from, stop));
        }
        catch (Exception error) when (error is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client sees its connection end, and says so.
        }
    }

    private static async Task CopyAsync(Socket from, Socket to, CancellationToken stop)
    {
        var buffer = new byte[16 * 1024];
        while (await from.ReceiveAsync(buffer, stop) is > 0 and var count)
        {
            for (var sent = 0; sent < count;)
                sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), stop);
        }

        to.Shutdown(SocketShutdown.Send);
    }
}
