using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// Lets containers of the inner Docker reach the proxy, which listens on the loopback alone: what arrives on the address that the
/// inner bridge has here is passed on, byte by byte. The proxy's API is not shown to them.
/// </summary>
/// <param name="port">The proxy's, on both sides.</param>
internal sealed class NestedRelay(int port)
{
    private const string Bridge = "docker0";

    /// <summary>The address by which nested containers know this one; null when Docker has no bridge of its own. An uplink may have the name of one:
    /// whoever is behind that is not offered the proxy.</summary>
    /// <param name="uplinks">Bridges that are none of Docker's.</param>
    public static IPAddress? FindAddress(IEnumerable<NetworkBridge> uplinks)
    {
        try
        {
            return NetworkBridge.All().Any(bridge => bridge.Name == Bridge && uplinks.All(uplink => uplink.Index != bridge.Index)) ? InterfaceAddress.Find(Bridge) : null;
        }
        catch (LibcException)
        {
            // Then nobody can be led here.
            return null;
        }
    }

    /// <summary>Listens at once; serves until <paramref name="address"/> is given up by the token of what it returns. What is connected then stays
    /// so as long as both its sides: no stop waits for it.</summary>
    /// <exception cref="SocketException">The address or port is taken.</exception>
    public Func<CancellationToken, Task> Listen(IPAddress address) => Listen(new IPEndPoint(address, port));

    /// <summary>The same, at a port of its own.</summary>
    public Func<CancellationToken, Task> Listen(IPEndPoint address)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        listener.Bind(address);
        listener.Listen();
        return cancellationToken =>
        {
            var served = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            new Thread(() => Serve(listener, served, cancellationToken)) { IsBackground = true, Name = "relay" }.Start();
            return served.Task;
        };
    }

    private void Serve(Socket listener, TaskCompletionSource served, CancellationToken cancellationToken)
    {
        try
        {
            using var connections = new RelayedConnections(port);
            var descriptor = (int)listener.Handle;
            connections.Listen(descriptor);
            using (cancellationToken.Register(() => Libc.Shutdown(descriptor, Libc.CloseRead)))
            {
                while (!cancellationToken.IsCancellationRequested)
                    connections.Serve(descriptor);
            }

            connections.EndListening(descriptor);
            listener.Dispose();
            served.SetResult();
            while (connections.Count > 0)
                connections.Serve(null);
        }
        catch (Exception error)
        {
            listener.Dispose();
            served.TrySetException(error);
        }
    }
}
