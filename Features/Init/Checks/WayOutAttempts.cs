using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Checks;

/// <summary>What became of an attempt to get out.</summary>
internal enum Attempt
{
    /// <summary>Refused on this machine, or impossible here.</summary>
    Held,

    /// <summary>It arrived at the proxy, or at its resolver, in place of whom it was for.</summary>
    Led,

    /// <summary>It left: somebody outside answered, or nobody did and nothing here refused it.</summary>
    Left,
}

/// <param name="Name">What was tried.</param>
/// <param name="Outcome">What became of it.</param>
/// <param name="Detail">How that was seen.</param>
internal sealed record TriedWay(string Name, Attempt Outcome, string Detail)
{
    /// <summary>As one line, as <see cref="Parse"/> reads it.</summary>
    public override string ToString() => $"{Name}\t{Outcome}\t{Detail}";

    public static TriedWay? Parse(string line) =>
        line.Split('\t') is [var name, var outcome, var detail] && Enum.TryParse<Attempt>(outcome, out var known) ? new TriedWay(name, known, detail) : null;
}

/// <summary>
/// Tries to get out past the proxy, as whoever runs it. By default to addresses that are nobody's (RFC 5737 and RFC 3849), so that what leaves troubles
/// nobody: that it left is seen by nothing here having refused or taken it.
/// </summary>
/// <param name="to">Whom to try to reach over IPv4.</param>
/// <param name="to6">The same over IPv6.</param>
/// <param name="dockerSocket">The agent's.</param>
/// <param name="processNetwork">Where the kernel lists this network's sockets.</param>
internal sealed class WayOutAttempts(IPAddress to, IPAddress to6, string dockerSocket, string processNetwork = "/proc/net")
{
    public static readonly IPAddress Nobody = IPAddress.Parse("192.0.2.1");
    public static readonly IPAddress Nobody6 = IPAddress.Parse("2001:db8::1");

    private const ushort HighPort = 47391;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    // A question for the address of localhost, which our resolver answers and no other is asked here.
    private static readonly byte[] Question = [0x4D, 0x11, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, .. "localhost"u8, 0, 0, 1, 0, 1];

    public async Task<IReadOnlyList<TriedWay>> RunAsync(CancellationToken cancellation) => await Task.WhenAll(
    [
        .. new ushort[] { 80, 443, 22, HighPort }.Select(port => ConnectAsync($"TCP {port}", new IPEndPoint(to, port), cancellation)),
        ConnectAsync("IPv6 TCP 443", new IPEndPoint(to6, 443), cancellation),
        SendAsync("DNS", new IPEndPoint(to, 53), Question, cancellation),
        SendAsync("QUIC", new IPEndPoint(to, 443), new byte[1200], cancellation),
        SendAsync("UDP", new IPEndPoint(to, HighPort), "discobot doctor"u8.ToArray(), cancellation),
        SendAsync("IPv6 UDP", new IPEndPoint(to6, HighPort), "discobot doctor"u8.ToArray(), cancellation),
        Task.Run(() => OpenRaw("raw socket", AddressFamily.InterNetwork, ProtocolType.Icmp), cancellation),
        Task.Run(() => OpenRaw("packet socket", AddressFamily.Packet, ProtocolType.Unspecified), cancellation),
        AskDockerAsync(cancellation),
    ]);

    private async Task<TriedWay> ConnectAsync(string name, IPEndPoint destination, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            using var socket = new Socket(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(destination, limit.Token);
            return IsPeerHere((IPEndPoint)socket.LocalEndPoint!)
                ? new TriedWay(name, Attempt.Led, $"a connection to {destination} arrives at the proxy")
                : new TriedWay(name, Attempt.Left, $"{destination} was reached");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new TriedWay(name, Attempt.Left, $"a connection to {destination} left, and nobody answered");
        }
        catch (SocketException error)
        {
            return Failed(name, error, destination);
        }
    }

    private static async Task<TriedWay> SendAsync(string name, IPEndPoint destination, byte[] message, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            using var socket = new Socket(destination.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            await socket.ConnectAsync(destination, limit.Token);
            await socket.SendAsync(message, limit.Token);
            await socket.ReceiveAsync(new byte[1500], limit.Token);
            return destination.Port == 53
                ? new TriedWay(name, Attempt.Led, $"a question for {destination} was answered by the resolver here")
                : new TriedWay(name, Attempt.Left, $"{destination} answered");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new TriedWay(name, Attempt.Left, $"a datagram to {destination} left, and nobody answered");
        }
        catch (SocketException error)
        {
            return Failed(name, error, destination);
        }
    }

    // Who refuses a connection or datagram with "port unreachable" or a reset is the one it was for: it had left.
    private static TriedWay Failed(string name, SocketException error, IPEndPoint destination) => error.SocketErrorCode == SocketError.ConnectionRefused
        ? new TriedWay(name, Attempt.Left, $"{destination} was reached, and refused")
        : new TriedWay(name, Attempt.Held, $"{destination}: {error.Message}");

    private static TriedWay OpenRaw(string name, AddressFamily family, ProtocolType protocol)
    {
        try
        {
            using var socket = new Socket(family, SocketType.Raw, protocol);
            return new TriedWay(name, Attempt.Left, "packets of any kind can be made: take the capability NET_RAW from the agent");
        }
        catch (SocketException error)
        {
            return new TriedWay(name, Attempt.Held, error.Message);
        }
    }

    // Asks for a container of an image that there is not: a guard refuses the request before dockerd looks for it.
    private async Task<TriedWay> AskDockerAsync(CancellationToken cancellation)
    {
        const string Name = "privileged container";
        const string Body = """{"Image":"discobot-doctor.invalid/none","HostConfig":{"Privileged":true}}""";
        if (!Path.Exists(dockerSocket))
            return new TriedWay(Name, Attempt.Held, "no Docker socket here");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            using var handler = new SocketsHttpHandler
            {
                ConnectCallback = async (_, cancel) =>
                {
                    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(dockerSocket), cancel);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            };
            using var client = new HttpClient(handler);
            using var body = new StringContent(Body, Encoding.UTF8, "application/json");
            using var answer = await client.PostAsync(new Uri("http://docker/containers/create"), body, limit.Token);
            return (int)answer.StatusCode == 403
                ? new TriedWay(Name, Attempt.Held, "refused by the guard of Docker's socket")
                : new TriedWay(Name, Attempt.Left, $"Docker's socket takes requests for one (it answered {(int)answer.StatusCode})");
        }
        catch (Exception error) when (error is HttpRequestException or SocketException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return new TriedWay(Name, Attempt.Held, $"{dockerSocket}: {error.Message}");
        }
    }

    // Whoever took the connection has a socket whose other end is ours, and the kernel lists it if he is on this machine.
    private bool IsPeerHere(IPEndPoint own)
    {
        var remote = $"{ConnectionOwner.Spell(own.Address)}:{own.Port:X4}";
        var list = Path.Combine(processNetwork, own.AddressFamily == AddressFamily.InterNetwork ? "tcp" : "tcp6");
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromMilliseconds(300); Thread.Sleep(20))
        {
            if (File.Exists(list) && RegularFile.ReadAllLines(list).Skip(1).Any(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, _, var other, ..] && other == remote))
                return true;
        }

        return false;
    }
}
