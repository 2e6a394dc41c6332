using System.Buffers;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Discobot.Features.Init;

/// <summary>
/// Lets containers of the inner Docker reach the proxy, which listens on the loopback alone: what arrives on the address that the
/// inner bridge has here is passed on, byte by byte. The proxy's API is not shown to them.
/// </summary>
/// <param name="port">The proxy's, on both sides.</param>
internal sealed class NestedRelay(int port)
{
    private const int BufferSize = 32 * 1024;
    private const string Bridge = "docker0";
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>The address by which nested containers know this one; null when Docker has no bridge of its own.</summary>
    public static IPAddress? FindAddress()
        => NetworkInterface.GetAllNetworkInterfaces().Where(i => i.Name == Bridge)
            .SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address)
            .FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork);

    /// <summary>Listens at once; serves until <paramref name="cancellationToken"/>.</summary>
    /// <exception cref="SocketException">The address or port is taken.</exception>
    public Func<CancellationToken, Task> Listen(IPAddress address) => Listen(new IPEndPoint(address, port));

    /// <summary>The same, at a port of its own.</summary>
    public Func<CancellationToken, Task> Listen(IPEndPoint address)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(address);
        listener.Listen();
        return cancellationToken => ServeAsync(listener, cancellationToken);
    }

    private async Task ServeAsync(Socket listener, CancellationToken cancellationToken)
    {
        using (listener)
        {
            while (true)
            {
                try
                {
                    _ = PassOnAsync(await listener.AcceptAsync(cancellationToken));
                }
                catch (SocketException)
                {
                    // That client left again, or there are too many: the next may be luckier.
                    await Task.Delay(Pause, cancellationToken);
                }
            }
        }
    }

    // Lives as long as both its sides: no stop waits for it.
    private async Task PassOnAsync(Socket client)
    {
        using var proxy = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using (client)
        {
            try
            {
                await proxy.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port));
                KeepAlive(client);
                await Task.WhenAll(CopyAsync(client, proxy), CopyAsync(proxy, client));
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // Either side is gone, or was never there: the other is told.
                Reset(client);
            }
        }
    }

    // While nothing comes, no buffer is held: most connections of a build wait.
    private static async Task CopyAsync(Socket from, Socket to)
    {
        try
        {
            while (true)
            {
                await from.ReceiveAsync(Memory<byte>.Empty);
                var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
                try
                {
                    var read = await from.ReceiveAsync(buffer.AsMemory(0, BufferSize));
                    if (read == 0)
                        break;
                    for (var rest = buffer.AsMemory(0, read); rest.Length > 0;)
                        rest = rest[await to.SendAsync(rest)..];
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // What failed on one side fails on both, in both directions: a reset is passed on as one.
            Reset(from);
            Reset(to);
            throw;
        }
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }

        socket.Dispose();
    }

    // A container that is frozen or cut off says nothing any more: after two minutes it counts as gone.
    private static void KeepAlive(Socket socket)
    {
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 60);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 10);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 6);
    }
}
