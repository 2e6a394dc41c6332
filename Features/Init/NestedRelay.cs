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
    private const string Bridge = "docker0";
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>The address by which nested containers know this one; null when Docker has no bridge of its own.</summary>
    public static IPAddress? FindAddress()
        => NetworkInterface.GetAllNetworkInterfaces().Where(i => i.Name == Bridge)
            .SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address)
            .FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork);

    /// <summary>Listens at once; serves until <paramref name="cancellationToken"/>.</summary>
    /// <exception cref="SocketException">The address or port is taken.</exception>
    public Func<CancellationToken, Task> Listen(IPAddress address)
    {
        var listener = new TcpListener(address, port);
        listener.Start();
        return cancellationToken => ServeAsync(listener, cancellationToken);
    }

    private async Task ServeAsync(TcpListener listener, CancellationToken cancellationToken)
    {
        using (listener)
        {
            while (true)
            {
                try
                {
                    _ = PassOnAsync(await listener.AcceptTcpClientAsync(cancellationToken), cancellationToken);
                }
                catch (SocketException)
                {
                    // That client left again, or there are too many: the next may be luckier.
                    await Task.Delay(Pause, cancellationToken);
                }
            }
        }
    }

    private async Task PassOnAsync(TcpClient client, CancellationToken cancellationToken)
    {
        using (client)
        using (var proxy = new TcpClient())
        {
            try
            {
                await proxy.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                await Task.WhenAll(CopyAsync(client, proxy, cancellationToken), CopyAsync(proxy, client, cancellationToken));
            }
            catch (Exception error) when (error is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
            {
                // Either side is gone, which closing the other tells it.
            }
        }
    }

    private static async Task CopyAsync(TcpClient from, TcpClient to, CancellationToken cancellationToken)
    {
        await from.GetStream().CopyToAsync(to.GetStream(), cancellationToken);
        to.Client.Shutdown(SocketShutdown.Send);
    }
}
