using System.Net;
using System.Net.Sockets;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Infrastructure.Wire;

public class OpenTrafficTests
{
    private readonly Policy _policy = new();
    private readonly Aborts _aborts = new();

    [Fact]
    public void A_request_that_new_rules_forbid_is_aborted_and_others_are_not()
    {
        var traffic = New();
        using (Admitted(traffic, "/kept"))
        using (Admitted(traffic, "/forbidden"))
        {
            traffic.JudgeAgain();
            Assert.Equal(0, _aborts.Count);
            _policy.Forbidden = "/forbidden";
            traffic.JudgeAgain();
            traffic.JudgeAgain();
            Assert.Equal(1, _aborts.Count);
        }
    }

    [Fact]
    public void A_request_that_is_over_is_left_alone()
    {
        var traffic = New();
        Admitted(traffic, "/x").Dispose();
        _policy.Forbidden = "/x";
        traffic.JudgeAgain();
        Assert.Equal(0, _aborts.Count);
    }

    [Fact]
    public async Task Idle_means_that_nothing_followed_for_a_while()
    {
        var traffic = New();
        using var kept = traffic.Watch(new ConnectTarget("a.example", 443), await PairAsync());
        Assert.True(traffic.IdleAsync(TimeSpan.FromMinutes(1), CancellationToken.None).IsCompleted);
        var first = Admitted(traffic, "/a");
        var idle = traffic.IdleAsync(TimeSpan.FromMilliseconds(200), CancellationToken.None);
        first.Dispose();
        using (Admitted(traffic, "/b"))
            // By time: that it goes on waiting.
            Assert.NotSame(idle, await Task.WhenAny(idle, Task.Delay(400)));
        await idle.WaitAsync(TimeSpan.FromSeconds(10));
        using (Admitted(traffic, "/c"))
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => traffic.IdleAsync(TimeSpan.FromMilliseconds(1), limit.Token));
        }
    }

    [Fact]
    public void Rules_that_change_while_a_request_is_judged_refuse_it_and_do_not_cut_it_off()
    {
        var traffic = New();
        _policy.WhileJudging = () =>
        {
            _policy.WhileJudging = null;
            _policy.Forbidden = "/x";
            traffic.JudgeAgain();
        };

        var verdict = traffic.Admit(Request("/x"), Context(_aborts), out var watch);

        Assert.Equal((false, null, 0), (verdict.Allowed, watch, _aborts.Count));
    }

    private OpenTraffic New() => new OpenTraffic(_policy, new UpstreamBytes(TestMetrics.New()), StreamIdle.Unlimited, NullLogger<OpenTraffic>.Instance);

    // A connection as the pool would keep it.
    private static async Task<DialledSocket> PairAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndpoint);
        return new DialledSocket(socket, IPAddress.Loopback);
    }

    private IDisposable Admitted(OpenTraffic traffic, string path)
    {
        Assert.True(traffic.Admit(Request(path), Context(_aborts), out var watch).Allowed);
        return watch!;
    }

    private static ProxiedRequest Request(string path) =>
        new() { Id = "1", Target = new ConnectTarget("a.example", 443), Scheme = "https", PathAndQuery = path };

    private static DefaultHttpContext Context(Aborts aborts)
    {
        var context = new DefaultHttpContext();
        context.Features.Set<IHttpRequestLifetimeFeature>(aborts);
        return context;
    }

    private sealed class Aborts : IHttpRequestLifetimeFeature
    {
        public int Count { get; private set; }

        public CancellationToken RequestAborted { get; set; }

        public void Abort() => Count++;
    }

    private sealed class Policy : IEgressPolicy
    {
        public string? Forbidden { get; set; }

        public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null) => EgressVerdict.Allow("");

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => EgressVerdict.Allow("");

        public Action? WhileJudging { get; set; }

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null)
        {
            var verdict = pathAndQuery == Forbidden ? EgressVerdict.Refuse("test", "No.") : EgressVerdict.Allow("");
            WhileJudging?.Invoke();
            return verdict;
        }

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => EgressVerdict.Allow("");
    }
}
