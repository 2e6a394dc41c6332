using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Egress.Dns;

public sealed class DnsResolverTests : IDisposable
{
    private readonly Told _told = new();
    private readonly AllowedNames _policy = new();
    private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly string _resolvConf = Path.GetTempFileName();
    private readonly LearnedNames _learned = new(TimeProvider.System);
    private readonly NameServers _servers;
    private DnsResolver _resolver;
    private int _asked;

    public DnsResolverTests()
    {
        _server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        File.WriteAllText(_resolvConf, "# comment\nsearch internal.test\nnameserver 127.0.0.1\noptions edns0\n");
        _servers = new NameServers(_resolvConf, ((IPEndPoint)_server.LocalEndPoint!).Port);
        _resolver = Create(EgressMode.Enforce);
    }

    private DnsResolver Create(EgressMode mode, TimeProvider? time = null, DnsType[]? types = null) =>
        new(_policy, mode, new DnsOptions { Types = [.. types ?? []] }, _servers, _learned, time ?? TimeProvider.System, new FlowRecorder([_told]), NullLogger<DnsResolver>.Instance);

    public void Dispose()
    {
        _server.Dispose();
        File.Delete(_resolvConf);
    }

    [Fact]
    public async Task A_name_that_a_rule_allows_is_asked_for_once_and_its_address_remembered()
    {
        _ = ServeAsync("203.0.113.7");
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsync("allowed.test", DnsType.A)));
        Assert.All(answers, answer => Assert.Equal("203.0.113.7", Assert.Single(answer.Records).Address!.ToString()));
        Assert.Equal("203.0.113.7", Assert.Single((await AskAsync("ALLOWED.test", DnsType.A)).Records).Address!.ToString());
        Assert.Equal(1, _asked);
        Assert.Equal("allowed.test", _learned.Find(IPAddress.Parse("203.0.113.7")));
        Assert.Null(_learned.Find(IPAddress.Parse("203.0.113.8")));
    }

    /// <summary>Many have the address of one server, as at a CDN.</summary>
    [Fact]
    public async Task Of_several_names_of_one_address_the_last_that_was_given_counts_also_where_it_was_remembered()
    {
        _ = ServeAsync("203.0.113.7");
        _policy.Answer.SetResult(new Approval(EgressVerdict.Allow("granted")));
        foreach (var name in (string[])["allowed.test", "open.test", "allowed.test"])
        {
            await AskAsync(name, DnsType.A);
            Assert.Equal(name, _learned.Find(IPAddress.Parse("203.0.113.7")));
        }

        Assert.Equal(2, _asked);
    }

    [Fact]
    public async Task A_name_that_somebody_is_asked_about_leaves_once_that_is_answered()
    {
        _ = ServeAsync("203.0.113.7");
        _policy.Asks = true;
        Assert.Equal(DnsCode.ServerFailure, (await AskAsync("open.test", DnsType.A)).Code);
        Assert.Equal(0, _asked);
        _policy.Answer.SetResult(new Approval(EgressVerdict.Allow("granted")));
        Assert.Equal("203.0.113.7", Assert.Single((await AskAsync("open.test", DnsType.A)).Records).Address!.ToString());
    }

    /// <summary>"Nothing of that type" is what clients remember.</summary>
    [Fact]
    public async Task So_does_one_of_a_type_that_the_operator_named()
    {
        _ = ServeAsync("203.0.113.7");
        _resolver = Create(EgressMode.Enforce, types: [DnsType.Mx]);
        _policy.Asks = true;
        var asking = AskAsync("open.test", DnsType.Mx);
        _policy.Answer.SetResult(new Approval(EgressVerdict.Allow("granted")));
        Assert.Equal(DnsCode.NoError, (await asking).Code);
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task An_answer_from_memory_says_how_long_it_may_still_be_kept()
    {
        var time = new Clock();
        _resolver = Create(EgressMode.Enforce, time);
        _ = ServeAsync("203.0.113.7");
        foreach (var (passed, left, asked) in ((double, uint, int)[])[(0, 60, 1), (20, 40, 1), (39.5, 1, 1), (1, 60, 2)])
        {
            time.Now += TimeSpan.FromSeconds(passed);
            Assert.Equal(left, Assert.Single((await AskAsync("allowed.test", DnsType.A)).Records).Seconds);
            Assert.Equal(asked, _asked);
        }
    }

    [Theory]
    [InlineData("secret-data-1.tunnel.test")]
    [InlineData("exfil.allowed.test.evil.test")]
    [InlineData("allowed.test.internal.test")]
    public async Task A_name_that_no_rule_allows_does_not_exist_and_is_not_asked_for(string name)
    {
        _ = ServeAsync("203.0.113.7");
        Assert.Equal(DnsCode.NoSuchName, (await AskAsync(name, DnsType.A)).Code);
        Assert.Equal(0, _asked);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(15)]
    [InlineData(10)]
    [InlineData(12)]
    public async Task Types_that_carry_data_are_empty_and_not_asked_for(ushort type)
    {
        _ = ServeAsync("203.0.113.7");
        var answer = await AskAsync("allowed.test", (DnsType)type);
        Assert.Equal((DnsCode.NoError, 0), (answer.Code, answer.Records.Count));
        Assert.Equal(0, _asked);
    }

    [Theory]
    [InlineData(16, 1)]
    [InlineData(33, 1)]
    [InlineData(12, 1)]
    public async Task Where_nothing_is_enforced_other_types_are_passed_on_as_they_are(ushort type, int asked)
    {
        _ = ServeAsync("203.0.113.7");
        _resolver = Create(EgressMode.Redirect);
        var answer = await AskAsync("Allowed.test", (DnsType)type);
        Assert.Equal((asked, asked), (answer.Records.Count, _asked));
        Assert.Equal(DnsCode.NoSuchName, (await AskAsync("tunnel.test", (DnsType)type)).Code);
        Assert.Equal(asked, _asked);
    }

    [Fact]
    public void A_message_that_does_not_fit_into_a_datagram_is_only_said_to_be_longer()
    {
        byte[] query = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, (byte)'X', 0, 0, 16, 0, 1];
        Assert.True(DnsQuestion.TryRead(query, out var question, out _));
        byte[] answer = [9, 9, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 1, 1, (byte)'x', 0, 0, 16, 0, 1, 1, 2, 3];
        Assert.Equal([7, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 1, 1, (byte)'X', 0, 0, 16, 0, 1, 1, 2, 3], DnsAnswer.Repeat(answer, question!, 512));
        Assert.Equal([7, 7, 0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 1, (byte)'X', 0, 0, 16, 0, 1], DnsAnswer.Repeat(answer, question!, 20));
    }

    [Theory]
    [InlineData("nameserver 192.0.2.1\n", null)]
    [InlineData("nameserver 127.0.0.11\noptions ndots:0\n", "")]
    [InlineData("nameserver 127.0.0.11\n# ExtServers: [203.0.113.53 host(127.0.0.53) 2001:db8::53]\n", "203.0.113.53 2001:db8::53")]
    [InlineData("nameserver 127.0.0.11\n# ExtServers: [host(127.0.0.53)]\n", null)]
    public void Dockers_resolver_tells_whom_it_asks_from_here(string text, string? expected)
    {
        var servers = DockersResolver.Asks(text.Split('\n'));
        Assert.Equal(expected, servers is null ? null : string.Join(' ', servers.Select(s => s.ToString())));
    }

    [Fact]
    public async Task An_address_that_may_not_be_dialled_is_not_told()
    {
        _ = ServeAsync("169.254.169.254");
        Assert.Empty((await AskAsync("allowed.test", DnsType.A)).Records);
    }

    [Fact]
    public async Task Localhost_is_this_machine()
    {
        Assert.Equal("127.0.0.1", Assert.Single((await AskAsync("localhost", DnsType.A)).Records).Address!.ToString());
        Assert.Equal("::1", Assert.Single((await AskAsync("a.localhost", DnsType.Aaaa)).Records).Address!.ToString());
    }

    [Fact]
    public async Task A_silent_server_costs_seconds_and_not_for_ever()
    {
        var started = TimeProvider.System.GetTimestamp();
        Assert.Equal(DnsCode.ServerFailure, (await AskAsync("allowed.test", DnsType.A)).Code);
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 3, 30);
    }

    [Theory]
    [InlineData("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", "192.0.2.1:53 [2001:db8::1]:53")]
    [InlineData("nameserver\t192.0.2.1 # first\n;nameserver 192.0.2.2\nnameserver nonsense\n", "192.0.2.1:53")]
    [InlineData("", "127.0.0.1:53")]
    public void Servers_are_those_of_resolv_conf(string text, string expected) =>
        Assert.Equal(expected, string.Join(' ', NameServers.Parse(text.Split('\n'), 53).Select(s => s.ToString())));

    [Fact]
    public async Task Each_question_is_told_with_its_type_and_what_became_of_it()
    {
        _ = ServeAsync("203.0.113.7");
        await AskAsync("allowed.test", DnsType.A);
        await AskAsync("secret-data.tunnel.test", DnsType.Aaaa);

        Assert.Equal(
            [("dns", "A", "allowed.test", FlowVerdict.Allowed, null), ("dns", "AAAA", "secret-data.tunnel.test", FlowVerdict.Blocked, "NoSuchName")],
            _told.Flows.Select(f => (f.Entry, f.Method!, f.Host!, f.Verdict, f.Error)));
    }

    /// <summary>Also for one and the same name: whoever asks for it waits.</summary>
    [Theory]
    [InlineData("silent.test")]
    [InlineData("{0}.silent.test")]
    public async Task A_zone_whose_servers_are_silent_holds_up_no_other(string names)
    {
        _ = ServeAsync("203.0.113.7");
        var silent = Enumerable.Range(0, 3000).Select(i => AskAsync(string.Format(CultureInfo.InvariantCulture, names, i), DnsType.A)).ToArray();
        Assert.Equal("203.0.113.7", Assert.Single((await AskAsync("allowed.test", DnsType.A)).Records).Address!.ToString());
        Assert.Contains(silent, task => !task.IsCompleted);
        Assert.All(await Task.WhenAll(silent), answer => Assert.Equal(DnsCode.ServerFailure, answer.Code));
    }

    private async Task<DnsAnswer> AskAsync(string name, DnsType type)
    {
        var labels = name.Split('.').SelectMany(label => new[] { (byte)label.Length }.Concat(label.Select(c => (byte)c)));
        byte[] query = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. labels, 0, (byte)((ushort)type >> 8), (byte)type, 0, 1];
        var answer = await _resolver.AnswerAsync(query, isDatagram: true, client: null, CancellationToken.None);
        return DnsAnswer.Read(answer, query.Length - DnsQuestion.HeaderSize)!;
    }

    private async Task ServeAsync(string address)
    {
        var buffer = new byte[512];
        while (true)
        {
            SocketReceiveFromResult received;
            try
            {
                received = await _server.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }

            Interlocked.Increment(ref _asked);
            Assert.True(DnsQuestion.TryRead(buffer.AsMemory(0, received.ReceivedBytes).ToArray(), out var question, out _));
            if (question!.Name.EndsWith("silent.test", StringComparison.Ordinal))
                continue;
            var answer = new DnsAnswer(DnsCode.NoError, [new(question.Name, DnsType.A, 60, IPAddress.Parse(address), null)]);
            await _server.SendToAsync(answer.Write(question, 512), received.RemoteEndPoint);
        }
    }

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

        public override DateTimeOffset GetUtcNow() => Now;
    }

    private sealed class Told : IFlowObserver
    {
        public List<Flow> Flows { get; } = [];

        public void Ended(Flow flow)
        {
            lock (Flows)
                Flows.Add(flow);
        }
    }

    private sealed class AllowedNames : IEgressPolicy
    {
        public bool Asks { get; set; }

        public TaskCompletionSource<Approval> Answer { get; } = new();

        public async ValueTask<Approval> AskAsync(EgressVerdict refusal, EgressQuestion question, CancellationToken cancellation)
        {
            Assert.Equal(("open.test", "DNS"), (question.Target.Host, question.Method));
            return await Answer.Task.WaitAsync(cancellation);
        }

        public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null) =>
            target.Host == "open.test" && Answer.Task.IsCompleted ? EgressVerdict.Allow("granted")
            : target.Host == "open.test" && Asks ? EgressVerdict.Refuse("default", "not yet") with { Asks = 0 }
            : target.Host == "allowed.test" || target.Host.EndsWith("silent.test", StringComparison.Ordinal) ? EgressVerdict.Allow("allowed.test") : EgressVerdict.Refuse("none", "not allowed");

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => JudgeTunnel(target);

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null) => JudgeTunnel(target);

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) =>
            address.ToString().StartsWith("169.", StringComparison.Ordinal) ? EgressVerdict.Refuse("link-local", "not public") : JudgeTunnel(target);
    }
}
