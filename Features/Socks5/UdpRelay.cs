using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Socks5;

/// <summary>
/// Carries datagrams between one client and the world. Each datagram's destination is judged; answers come back only from addresses the
/// client has written to. One socket to the client, one to the world.
/// </summary>
internal sealed partial class UdpRelay : IDisposable
{
    private const int MaxDatagram = 65_535;

    /// <summary>The longest header: two reserved octets, fragment, address.</summary>
    private const int MaxHeader = 3 + SocksAddress.MaxLength;

    /// <summary>Destinations kept at a time; beyond, the association forgets and starts over.</summary>
    private const int MaxPeers = 1_024;

    private readonly IEgressPolicy _policy;
    private readonly NameLookups _names;
    private readonly IPAddress _clientAddress;
    private readonly string? _name;
    private readonly ILogger _log;
    private readonly Socket _inside;
    private readonly Socket _outside;
    private readonly ConcurrentDictionary<CanonicalHost, (IPAddress Address, long Until)> _resolved = [];
    private readonly HashSet<ConnectTarget> _told = [];
    private volatile HashSet<IPEndPoint> _peers = [];
    private volatile IPEndPoint? _client;
    private int _unresolved;
    private long _up;

    /// <param name="policy">Asked about every datagram.</param>
    /// <param name="names">Resolves those that datagrams are for.</param>
    /// <param name="local">Where the client reached us by TCP.</param>
    /// <param name="client">The only address that is listened to.</param>
    /// <param name="clientPort">The only port, or 0: then the one of the first datagram.</param>
    /// <param name="name">Who the client is; null: nobody who has a name.</param>
    /// <param name="log">Told of each refused destination once.</param>
    public UdpRelay(IEgressPolicy policy, NameLookups names, IPAddress local, IPAddress client, int clientPort, string? name, ILogger log)
    {
        (_policy, _names, _name, _log) = (policy, names, name, log);
        _clientAddress = CanonicalHost.Of(client).Address!;
        if (clientPort != 0)
            _client = new IPEndPoint(_clientAddress, clientPort);
        var inside = CanonicalHost.Of(local).Address!;
        _inside = new Socket(inside.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        _inside.Bind(new IPEndPoint(inside, 0));
        _outside = Socket.OSSupportsIPv6
            ? new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp) { DualMode = true }
            : new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        _outside.Bind(new IPEndPoint(_outside.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0));
        LocalEndPoint = (IPEndPoint)_inside.LocalEndPoint!;
    }

    /// <summary>Where the client sends its datagrams.</summary>
    public IPEndPoint LocalEndPoint { get; }

    /// <summary>Bytes of payload sent for the client.</summary>
    public long Up => Interlocked.Read(ref _up);

    /// <summary>Bytes of payload brought back.</summary>
    public long Down { get; private set; }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation) =>
        await Task.WhenAll(Loop(_inside, PassOutAsync, cancellation), Loop(_outside, PassInAsync, cancellation));

    public void Dispose()
    {
        _inside.Dispose();
        _outside.Dispose();
    }

    private static async Task Loop(
        Socket socket, Func<IPEndPoint, Memory<byte>, int, CancellationToken, ValueTask> handle, CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(MaxHeader + MaxDatagram);
        try
        {
            var any = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
            while (true)
            {
                try
                {
                    // Room is left in front, so that a header can be put there without moving the payload.
                    var room = buffer.AsMemory(MaxHeader, MaxDatagram);
                    var received = await socket.ReceiveFromAsync(room, SocketFlags.None, any, cancellation);
                    await handle(Canonical((IPEndPoint)received.RemoteEndPoint), buffer, received.ReceivedBytes, cancellation);
                }
                catch (SocketException)
                {
                    // An ICMP error of an earlier datagram, a name that does not resolve, a datagram too long: UDP loses some.
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Over.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static IPEndPoint Canonical(IPEndPoint endpoint) => new(CanonicalHost.Of(endpoint.Address).Address!, endpoint.Port);

    // A dual-mode socket wants every address in IPv6 form.
    private IPEndPoint Outward(IPAddress address, int port) =>
        new(_outside.AddressFamily == AddressFamily.InterNetworkV6 ? address.MapToIPv6() : address, port);
}
