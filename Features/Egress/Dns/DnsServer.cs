using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure;

namespace Discobot.Features.Egress.Dns;

/// <summary>Listens for questions, over UDP and TCP, on the loopback addresses, where the packet filter leads them, or a gateway's own.</summary>
/// <param name="answers">Answers them.</param>
/// <param name="addresses">Where it listens.</param>
/// <param name="log">Tells what is in the way.</param>
/// <param name="interfaceOf">By which interface alone questions to an address come and their answers go; empty: by any.</param>
internal sealed partial class DnsServer(IDnsAnswers answers, IReadOnlyList<IPEndPoint> addresses, ILogger<DnsServer> log, Func<IPAddress, string>? interfaceOf = null) : BackgroundService
{
    private const int MaxMessage = 4096;

    /// <summary>Questions over UDP and connections at once; each client has its share of both.</summary>
    private const int MaxAtOnce = 2048;
    private const int SocketLevel = 1;
    private const int BindToDevice = 25;
    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(10);

    private readonly SharedPlaces _datagrams = new(MaxAtOnce, 0);
    private readonly SharedPlaces _connections = new(MaxAtOnce, 0);
    private readonly List<Socket> _sockets = [];

    /// <exception cref="IOException">An address is taken.</exception>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var address in addresses)
        {
            Add(new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp), address);
            Add(new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp), address).Listen();
        }

        return base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(_sockets.Select(socket =>
        socket.SocketType == SocketType.Dgram ? ServeDatagramsAsync(socket, stoppingToken) : AcceptAsync(socket, stoppingToken)));

    public override void Dispose()
    {
        foreach (var socket in _sockets)
            socket.Dispose();
        base.Dispose();
    }

    private Socket Add(Socket socket, IPEndPoint address)
    {
        _sockets.Add(socket);
        try
        {
            if (interfaceOf?.Invoke(address.Address) is { Length: > 0 } name)
                BindToInterface(socket, name);
            socket.Bind(address);
        }
        catch (SocketException e)
        {
            throw new IOException($"the resolver cannot listen on {address}: {e.Message}", e);
        }

        return socket;
    }

    // SO_BINDTODEVICE. Whoever asks from an address of the world outside is then answered where it asked, and never there.
    private void BindToInterface(Socket socket, string name)
    {
        try
        {
            socket.SetRawSocketOption(SocketLevel, BindToDevice, Encoding.ASCII.GetBytes(name + '\0'));
        }
        catch (SocketException e)
        {
            // Before Linux 5.7 it takes a capability.
            LogUnbound(name, e.Message);
        }
    }

    private async Task ServeDatagramsAsync(Socket socket, CancellationToken cancellation)
    {
        var any = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        var buffer = new byte[MaxMessage];
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                var received = await socket.ReceiveFromAsync(buffer, any, cancellation);
                // Who has more open than its share asks again.
                if (_datagrams.TryEnter(GroupOf(received.RemoteEndPoint)) is { } place)
                    _ = AnswerAsync(socket, buffer.AsSpan(0, received.ReceivedBytes).ToArray(), received.RemoteEndPoint, place, cancellation);
            }
            catch (SocketException)
            {
                // A client that left before its answer came shows up here as a refused port.
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(Socket socket, ReadOnlyMemory<byte> message, EndPoint client, IDisposable place, CancellationToken cancellation)
    {
        using var _ = place;
        try
        {
            if (await answers.AnswerAsync(message, PartiesOf(client, socket.LocalEndPoint), isDatagram: true, cancellation) is { } answer)
                await socket.SendToAsync(answer, client, cancellation);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client is gone, or we are going.
        }
        catch (Exception e)
        {
            LogFailed(e);
        }
    }

    private async Task AcceptAsync(Socket listener, CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                var socket = await listener.AcceptAsync(cancellation);
                if (_connections.TryEnter(GroupOf(socket.RemoteEndPoint)) is { } place)
                    _ = ServeAsync(socket, place, cancellation);
                else
                    socket.Dispose();
            }
            catch (SocketException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    // RFC 7766: each message behind its length, one after the other.
    private async Task ServeAsync(Socket socket, IDisposable place, CancellationToken cancellation)
    {
        using var _ = place;
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: true);
            var parties = PartiesOf(socket.RemoteEndPoint, socket.LocalEndPoint);
            var length = new byte[2];
            while (true)
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                limit.CancelAfter(IdleLimit);
                await stream.ReadExactlyAsync(length, limit.Token);
                var message = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
                await stream.ReadExactlyAsync(message, limit.Token);
                if (await answers.AnswerAsync(message, parties, isDatagram: false, limit.Token) is not { } answer)
                    return;
                var framed = new byte[2 + answer.Length];
                BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)answer.Length);
                answer.CopyTo(framed, 2);
                await stream.WriteAsync(framed, limit.Token);
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // The client has asked all it wanted, or was silent.
        }
        catch (Exception e)
        {
            LogFailed(e);
        }
    }

    private static string GroupOf(EndPoint? client) => (client as IPEndPoint)?.Address.ToString() ?? "";

    private static DnsParties PartiesOf(EndPoint? client, EndPoint? server) => new((IPEndPoint)client!, ((IPEndPoint)server!).Address);

    [LoggerMessage(Level = LogLevel.Warning, Message = "answers to questions that come by {Interface} are not held to it: {Reason}")]
    private partial void LogUnbound(string @interface, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "dns failed")]
    private partial void LogFailed(Exception error);
}
