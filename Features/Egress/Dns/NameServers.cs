using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Dns;

/// <summary>The name servers of the container, as its resolv.conf names them (resolv.conf(5)). Asked over UDP, and over TCP where an answer
/// does not fit.</summary>
/// <param name="path">The file; read again when it changes.</param>
/// <param name="port">Where they listen.</param>
internal sealed class NameServers(string path, int port = 53)
{
    private const int MaxServers = 3;
    private const int Rounds = 2;

    /// <summary>resolv.conf(5) gives a server 5 s; a second round follows here after less, as the client itself asks again after 5 s.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private (DateTime Written, IPEndPoint[] Servers) _read;

    /// <summary>Asks one server after the other until one answers.</summary>
    /// <param name="question">Whose answer is wanted.</param>
    /// <param name="cancellation">The caller's limit.</param>
    /// <returns>The whole message, checked to be an answer to this question; null when nobody answered.</returns>
    public async Task<byte[]?> AskAsync(DnsQuestion question, CancellationToken cancellation)
    {
        var servers = Read();
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var server in servers)
            {
                if (await AskAsync(server, question, cancellation) is { } answer)
                    return answer;
            }
        }

        return null;
    }

    private static async Task<byte[]?> AskAsync(IPEndPoint server, DnsQuestion question, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            var id = (ushort)RandomNumberGenerator.GetInt32(0x10000);
            var query = question.ToQuery(id);
            var answer = await OverUdpAsync(server, query, question, id, limit.Token);
            return DnsAnswer.IsTruncated(answer) ? await OverTcpAsync(server, query, question, id, limit.Token) ?? answer : answer;
        }
        catch (Exception e) when (e is SocketException or IOException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return null;
        }
    }

    // A socket of its own for each question: a new port, and answers of this server alone (RFC 5452, 9.2).
    private static async Task<byte[]> OverUdpAsync(IPEndPoint server, byte[] query, DnsQuestion question, ushort id, CancellationToken cancellation)
    {
        using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(server, cancellation);
        await socket.SendAsync(query, cancellation);
        var buffer = new byte[4096];
        while (true)
        {
            var length = await socket.ReceiveAsync(buffer, cancellation);
            if (question.IsAnswer(buffer.AsSpan(0, length), id))
                return buffer[..length];
        }
    }

    private static async Task<byte[]?> OverTcpAsync(IPEndPoint server, byte[] query, DnsQuestion question, ushort id, CancellationToken cancellation)
    {
        using var socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server, cancellation);
        using var stream = new NetworkStream(socket);
        var framed = new byte[2 + query.Length];
        BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)query.Length);
        query.CopyTo(framed, 2);
        await stream.WriteAsync(framed, cancellation);
        var length = new byte[2];
        await stream.ReadExactlyAsync(length, cancellation);
        var answer = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        await stream.ReadExactlyAsync(answer, cancellation);
        return question.IsAnswer(answer, id) ? answer : null;
    }

    private IPEndPoint[] Read()
    {
        lock (_lock)
        {
            var written = File.GetLastWriteTimeUtc(path);
            if (_read.Servers is null || _read.Written != written)
                _read = (written, Parse(File.Exists(path) && RegularFile.IsOrMissing(path) ? File.ReadAllLines(path) : [], port));
            return _read.Servers;
        }
    }

    internal static IPEndPoint[] Parse(IEnumerable<string> lines, int port)
    {
        var servers = lines.Select(line => line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
            .Where(words => words is ["nameserver", _, ..])
            .Select(words => IPAddress.TryParse(words[1], out var address) ? address : null)
            .OfType<IPAddress>().Take(MaxServers).Select(address => new IPEndPoint(address, port)).ToArray();
        // resolv.conf(5): without one, the machine itself is asked.
        return servers.Length > 0 ? servers : [new IPEndPoint(IPAddress.Loopback, port)];
    }
}
