using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Features.Configuration;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Dns;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Tests.Fixtures;

/// <summary>Our resolver, listening, in front of a name server that says what a test has it say. A rule allows allowed.test and what is below.</summary>
internal sealed class RunningResolver : IAsyncDisposable
{
    private readonly Socket _server;
    private readonly TcpListener _serverOfTcp;
    private readonly string _resolvConf = Path.GetTempFileName();
    private byte[] _records = [];
    private int _count;

    public RunningResolver()
    {
        (_server, _serverOfTcp) = Retry(() =>
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            try
            {
                socket.Bind(listener.LocalEndpoint);
                return (socket, listener);
            }
            catch (SocketException)
            {
                socket.Dispose();
                listener.Dispose();
                throw;
            }
        });
        File.WriteAllText(_resolvConf, "nameserver 127.0.0.1\n");
        _ = ServeDatagramsAsync();
        _ = ServeConnectionsAsync();
    }

    /// <summary>What was asked outside.</summary>
    public List<DnsType> Asked { get; } = [];

    public LearnedNames Learned { get; } = new(TimeProvider.System);

    public async ValueTask DisposeAsync()
    {
        _server.Dispose();
        _serverOfTcp.Dispose();
        File.Delete(_resolvConf);
        await Task.CompletedTask;
    }

    /// <summary>From now on the name that is asked for has these records: of each the type, and its data in hexadecimal digits.</summary>
    public void Say(params (int Type, string Data)[] records)
    {
        _records = [.. records.SelectMany(r => Record(r.Type, Bytes(r.Data)))];
        _count = records.Length;
    }

    /// <summary>Asks a resolver that is started for it.</summary>
    /// <param name="type">The type's number.</param>
    /// <param name="mode">As it is written.</param>
    /// <param name="types">The list of <c>dns.types</c>, as it is written.</param>
    /// <param name="name">For which name.</param>
    /// <returns>The code, and of each record its type and its data.</returns>
    public async Task<(int Code, (int Type, string Data)[] Records)> AskAsync(int type, string mode = "enforce", string types = "[]", string name = "allowed.test")
    {
        var settings = new SettingsSources(null, new Dictionary<string, string>(), new Dictionary<string, string>(), "/data")
            .Load(ConfigDocument.Parse($"egress: {{mode: {mode}}}\ndns: {{types: {types}}}\n", "config.yaml")).Value!;
        var servers = new NameServers(_resolvConf, ((IPEndPoint)_server.LocalEndPoint!).Port);
        var resolver = new DnsResolver(
            new Rules(), settings.Egress.Mode!.Value, settings.Dns, servers, Learned, TimeProvider.System, new FlowRecorder([]), NullLogger<DnsResolver>.Instance);
        var address = new IPEndPoint(IPAddress.Loopback, 0);
        var (running, starting) = Retry(() =>
        {
            address = new IPEndPoint(IPAddress.Loopback, RunningProxy.FreePort());
            var server = new DnsServer(resolver, [address], NullLogger<DnsServer>.Instance);
            return (server, server.StartAsync(CancellationToken.None));
        });
        using var _ = running;
        await starting;
        byte[] query =
        [
            7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. name.Split('.').SelectMany(label => Encoding.ASCII.GetBytes($"{(char)label.Length}{label}")), 0,
            (byte)(type >> 8), (byte)type, 0, 1,
        ];
        var answer = await OverUdpAsync(address, query);
        if (DnsAnswer.IsTruncated(answer))
        {
            Assert.True(answer.Length <= 512);
            answer = await OverTcpAsync(address, query);
        }

        await running.StopAsync(CancellationToken.None);
        return (answer[3] & 0x0F, [.. Records(answer, query.Length)]);
    }

    // A port that is free for TCP may be another test's for UDP.
    private static T Retry<T>(Func<T> open)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                return open();
            }
            catch (Exception e) when (e is SocketException or IOException && tries < 100)
            {
            }
        }
    }

    public static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    // Of the name that was asked for, by a pointer to it.
    private static byte[] Record(int type, byte[] data) =>
        [0xC0, 12, (byte)(type >> 8), (byte)type, 0, 1, 0, 0, 0, 60, (byte)(data.Length >> 8), (byte)data.Length, .. data];

    private static IEnumerable<(int, string)> Records(byte[] answer, int at)
    {
        for (var left = answer[7]; left > 0; left--)
        {
            Assert.Equal([0xC0, 12], answer[at..(at + 2)]);
            Assert.Equal([0, 1, 0, 0, 0, 60], answer[(at + 4)..(at + 10)]);
            var length = BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(at + 10));
            yield return (BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(at + 2)), Convert.ToHexString(answer, at + 12, length));
            at += 12 + length;
        }

        Assert.Equal(answer.Length, at);
    }

    private static async Task<byte[]> OverUdpAsync(IPEndPoint address, byte[] query)
    {
        using var client = new UdpClient(AddressFamily.InterNetwork);
        client.Connect(address);
        await client.SendAsync(query);
        return (await client.ReceiveAsync().WaitAsync(TimeSpan.FromSeconds(30))).Buffer;
    }

    private static async Task<byte[]> OverTcpAsync(IPEndPoint address, byte[] query)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(address);
        await client.GetStream().WriteAsync(Framed(query));
        return await ReadAsync(client.GetStream());
    }

    private static byte[] Framed(byte[] message) => [(byte)(message.Length >> 8), (byte)message.Length, .. message];

    private static async Task<byte[]> ReadAsync(Stream stream)
    {
        var length = new byte[2];
        await stream.ReadExactlyAsync(length).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        var message = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        await stream.ReadExactlyAsync(message).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        return message;
    }

    private byte[] Answer(byte[] query)
    {
        Assert.True(DnsQuestion.TryRead(query, out var question, out _));
        return [.. query[..2], 0x81, 0x80, 0, 1, (byte)(_count >> 8), (byte)_count, 0, 0, 0, 0, .. question!.Bytes.Span, .. _records];
    }

    // What is longer than a resolver takes over UDP is said to be.
    private async Task ServeDatagramsAsync()
    {
        var buffer = new byte[512];
        while (true)
        {
            try
            {
                var received = await _server.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                var answer = Answer(buffer[..received.ReceivedBytes]);
                Assert.True(DnsQuestion.TryRead(buffer.AsMemory(0, received.ReceivedBytes), out var question, out _));
                lock (Asked)
                    Asked.Add(question!.Type);
                if (answer.Length > 1232)
                    answer = [.. answer[..2], 0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, .. question.Bytes.Span];
                await _server.SendToAsync(answer, received.RemoteEndPoint);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeConnectionsAsync()
    {
        while (true)
        {
            try
            {
                using var client = await _serverOfTcp.AcceptTcpClientAsync();
                await client.GetStream().WriteAsync(Framed(Answer(await ReadAsync(client.GetStream()))));
            }
            catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private sealed class Rules : IEgressPolicy
    {
        public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null) =>
            target.Host == "allowed.test" || target.Host.EndsWith(".allowed.test", StringComparison.Ordinal) ? EgressVerdict.Allow("allowed.test") : EgressVerdict.Refuse("none", "not allowed");

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => JudgeTunnel(target);

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string path, string? client = null) => JudgeTunnel(target);

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => JudgeTunnel(target);
    }
}
