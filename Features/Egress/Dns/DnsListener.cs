using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Features.Egress.Dns;

/// <summary>An address at which questions are answered, over UDP and TCP.</summary>
internal sealed class DnsListener : IDisposable
{
    private const int SocketLevel = 1;
    private const int BindToDevice = 25;
    private readonly string _interface;
    private readonly Action<string, string>? _unbound;

    private DnsListener(IPEndPoint address, string @interface, Action<string, string>? unbound)
    {
        (Address, _interface, _unbound) = (address, @interface, unbound);
        Datagrams = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        Connections = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
    }

    public IPEndPoint Address { get; }

    /// <summary>Whether it may be cut off: it serves one interface alone.</summary>
    public bool IsOfOneInterface => _interface.Length > 0;

    public Socket Datagrams { get; }

    /// <summary>Of TCP: it listens.</summary>
    public Socket Connections { get; }

    /// <summary>Whether nothing can come by its interface any more: a later one of that name is another.</summary>
    public bool IsCutOff
    {
        get
        {
            try
            {
                var name = new byte[16];
                Datagrams.GetRawSocketOption(SocketLevel, BindToDevice, name);
                return false;
            }
            catch (SocketException)
            {
                // ENODEV: it is bound to the interface's number.
                return true;
            }
        }
    }

    /// <param name="address">Where it listens.</param>
    /// <param name="interface">By which alone questions come and answers go; empty: by any.</param>
    /// <param name="unbound">Told of the interface and the reason where it cannot be held to it.</param>
    /// <exception cref="IOException">The address is taken, or not there, or its interface is not.</exception>
    public static DnsListener Open(IPEndPoint address, string @interface, Action<string, string>? unbound)
    {
        var listener = new DnsListener(address, @interface, unbound);
        try
        {
            listener.Bind(listener.Datagrams);
            listener.Bind(listener.Connections);
            listener.Connections.Listen();
            return listener;
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new IOException($"the resolver cannot listen on {address}: {e.Message}", e);
        }
    }

    /// <summary>Waits until the interface is gone and one of its name is there again, with the address.</summary>
    public async Task<DnsListener> ReplaceAsync(TimeSpan pause, TimeProvider time, CancellationToken cancellation)
    {
        while (true)
        {
            await Task.Delay(pause, time, cancellation);
            if (!IsCutOff)
                continue;
            try
            {
                return Open(Address, _interface, _unbound);
            }
            catch (IOException)
            {
                // Not yet.
            }
        }
    }

    public void Dispose()
    {
        Datagrams.Dispose();
        Connections.Dispose();
    }

    private void Bind(Socket socket)
    {
        if (_interface.Length > 0)
            BindToInterface(socket);
        socket.Bind(Address);
    }

    // SO_BINDTODEVICE. Whoever asks from an address of the world outside is then answered where it asked, and never there.
    private void BindToInterface(Socket socket)
    {
        try
        {
            socket.SetRawSocketOption(SocketLevel, BindToDevice, Encoding.ASCII.GetBytes(_interface + '\0'));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AccessDenied)
        {
            // Before Linux 5.7 it takes a capability.
            _unbound?.Invoke(_interface, e.Message);
        }
    }
}
