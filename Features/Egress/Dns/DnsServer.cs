using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
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
    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(10);

    /// <summary>For an interface that was taken away.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    private readonly SharedPlaces _datagrams = new(MaxAtOnce, 0);
    private readonly SharedPlaces _connections = new(MaxAtOnce, 0);
    private readonly List<DnsListener> _listeners = [];

    /// <exception cref="IOException">An address is taken.</exception>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var address in addresses)
            _listeners.Add(DnsListener.Open(address, interfaceOf?.Invoke(address.Address) ?? "", LogUnbound));
        return base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(Enumerable.Range(0, _listeners.Count).Select(at => ServeAsync(at, stoppingToken)));

    public override void Dispose()
    {
        foreach (var listener in _listeners)
            listener.Dispose();
        base.Dispose();
    }

    // An interface may be taken away, and one of its name come later: its address is then served again.
    private async Task ServeAsync(int at, CancellationToken cancellation)
    {
        while (true)
        {
            var listener = _listeners[at];
            using var replaced = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var serving = Task.WhenAll(ServeDatagramsAsync(listener.Datagrams, replaced.Token), AcceptAsync(listener.Connections, replaced.Token));
            if (!listener.IsOfOneInterface)
            {
                await serving;
                return;
            }

            try
            {
                _listeners[at] = await listener.ReplaceAsync(LookAgain, TimeProvider.System, cancellation);
            }
            catch (OperationCanceledException)
            {
                await serving;
                return;
            }

            LogBack(listener.Address);
            await replaced.CancelAsync();
            await serving;
            listener.Dispose();
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
                    _ = AnswerAsync(socket, place, cancellation);
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
    private async Task AnswerAsync(Socket socket, IDisposable place, CancellationToken cancellation)
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

    [LoggerMessage(Level = LogLevel.Information, Message = "names are answered again at an address whose interface had gone {Address}")]
    private partial void LogBack(IPEndPoint address);

    [LoggerMessage(Level = LogLevel.Error, Message = "dns failed")]
    private partial void LogFailed(Exception error);
}
