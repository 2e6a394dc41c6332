using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Features.Egress.Dns;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Egress.Gateways;

public sealed class GatewayNamesTests : IDisposable
{
    private static readonly IPAddress Client = IPAddress.Parse("172.28.0.3");
    private static readonly IPAddress Own = IPAddress.Parse("172.28.0.2");

    private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly string _resolvConf = Path.GetTempFileName();
    private readonly AskedNames _asked = new(TimeProvider.System);
    private readonly DnsResolver _resolver;
    private readonly GatewayNames _names;
    private readonly List<(string Name, ushort Type)> _questions = [];

    public GatewayNamesTests()
    {
        _server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        File.WriteAllText(_resolvConf, "nameserver 127.0.0.1\n");
        var servers = new NameServers(_resolvConf, ((IPEndPoint)_server.LocalEndPoint!).Port);
        _resolver = new DnsResolver(new Allowed(), EgressMode.Enforce, new DnsOptions(), servers, new LearnedNames(TimeProvider.System), TimeProvider.System, new FlowRecorder([]), NullLogger<DnsResolver>.Instance);
        var inside = new[] { new InsideAddress("eth1", Own), new InsideAddress("eth1", IPAddress.Parse("fd00:28::2")), new InsideAddress("eth2", IPAddress.Parse("172.29.0.2")) };
        _names = new GatewayNames(new Allowed(), _resolver, _asked, new Gateway(new GatewayOptions(), inside), ParentProxies.None, new FlowRecorder([]));
        _ = ServeAsync();
    }

    public void Dispose()
    {
        _server.Dispose();
        File.Delete(_resolvConf);
    }

    [Theory]
    [InlineData("four.allowed.test", "A", "172.28.0.2")]
    [InlineData("four.allowed.test", "Aaaa", "fd00:28::2")]
    [InlineData("six.allowed.test", "A", "172.28.0.2")]
    [InlineData("six.allowed.test", "Aaaa", "fd00:28::2")]
    public async Task A_host_of_one_family_is_reached_over_either(string name, string type, string address)
    {
        Assert.Equal((0, address), await AskAsync(name, Enum.Parse<DnsType>(type)));
        Assert.Equal([name], _asked.AskedBy(Client));
    }

    [Theory]
    [InlineData("gone.allowed.test", 3)]
    [InlineData("broken.allowed.test", 2)]
    [InlineData("empty.allowed.test", 0)]
    public async Task What_is_allowed_has_to_exist(string name, int code)
    {
        Assert.Equal((code, ""), await AskAsync(name, DnsType.A));
        Assert.Equal((code, ""), await AskAsync(name, DnsType.Aaaa));
    }

    [Fact]
    public async Task What_is_refused_is_here_and_is_asked_for_nowhere()
    {
        Assert.Equal((0, "172.28.0.2"), await AskAsync("secret.tunnel.test", DnsType.A));
        Assert.Equal((0, "fd00:28::2"), await AskAsync("secret.tunnel.test", DnsType.Aaaa));
        foreach (var type in (int[])[16, 65, 5, 15, 255])
            Assert.Equal((0, ""), await AskAsync("secret.tunnel.test", (DnsType)type));
        Assert.Empty(_questions);
        Assert.Empty(_asked.AskedBy(Client));
    }

    [Theory]
    [InlineData(65)]
    [InlineData(64)]
    [InlineData(16)]
    public async Task Nothing_leads_past_us_nor_carries_data(ushort type)
    {
        Assert.Equal((0, ""), await AskAsync("four.allowed.test", (DnsType)type));
        Assert.Empty(_questions);
    }

    [Fact]
    public async Task Localhost_is_each_machines_own() => Assert.Equal((0, "127.0.0.1"), await AskAsync("localhost", DnsType.A));

    private async Task<(int Code, string Address)> AskAsync(string name, DnsType type)
    {
        var query = new List<byte> { 7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
        foreach (var label in name.Split('.'))
            query.AddRange([(byte)label.Length, .. Encoding.ASCII.GetBytes(label)]);
        query.AddRange([0, (byte)((ushort)type >> 8), (byte)type, 0, 1]);
        var message = await _names.AnswerAsync(query.ToArray(), new DnsParties(new IPEndPoint(Client, 4242), Own), isDatagram: true, default);
        Assert.True(DnsQuestion.TryRead(query.ToArray(), out var question, out _));
        var answer = DnsAnswer.Read(message, question!.Bytes.Length)!;
        return ((int)answer.Code, answer.Records.SingleOrDefault()?.Address?.ToString() ?? "");
    }

    // four has an address of IPv4, six one of IPv6, empty none; gone does not exist, broken fails.
    private async Task ServeAsync()
    {
        var buffer = new byte[512];
        while (true)
        {
            var received = await _server.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Loopback, 0));
            Assert.True(DnsQuestion.TryRead(buffer.AsMemory(0, received.ReceivedBytes), out var question, out _));
            _questions.Add((question!.Name, (ushort)question.Type));
            var code = question.Name.StartsWith("gone", StringComparison.Ordinal) ? 3 : question.Name.StartsWith("broken", StringComparison.Ordinal) ? 2 : 0;
            byte[] data = (question.Name.Split('.')[0], question.Type) switch { ("four", DnsType.A) => [203, 0, 113, 7], ("six", DnsType.Aaaa) => [0x20, 1, .. new byte[14]], _ => [] };
            byte[] record = data.Length == 0 ? [] : [0xC0, 12, 0, (byte)question.Type, 0, 1, 0, 0, 0, 60, 0, (byte)data.Length, .. data];
            byte[] answer = [.. buffer[..2], 0x81, (byte)(0x80 | code), 0, 1, 0, (byte)(record.Length > 0 ? 1 : 0), 0, 0, 0, 0, .. question.Bytes.Span, .. record];
            await _server.SendToAsync(answer, received.RemoteEndPoint);
        }
    }

    private sealed class Allowed : IEgressPolicy
    {
        public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null) =>
            target.Host.EndsWith("allowed.test", StringComparison.Ordinal) ? EgressVerdict.Allow("test") : EgressVerdict.Refuse("test", "no");

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => JudgeTunnel(target);

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null) => JudgeTunnel(target);

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => EgressVerdict.Allow("test");
    }
}
