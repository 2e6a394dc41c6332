using System.Net;
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
        var traffic = new OpenTraffic(_policy, new UpstreamBytes(TestMetrics.New()), NullLogger<OpenTraffic>.Instance);
        using (traffic.Watch(Request("/kept"), Context(_aborts)))
        using (traffic.Watch(Request("/forbidden"), Context(_aborts)))
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
        var traffic = new OpenTraffic(_policy, new UpstreamBytes(TestMetrics.New()), NullLogger<OpenTraffic>.Instance);
        traffic.Watch(Request("/x"), Context(_aborts)).Dispose();
        _policy.Forbidden = "/x";
        traffic.JudgeAgain();
        Assert.Equal(0, _aborts.Count);
    }

    [Fact]
    public async Task Idle_means_that_nothing_followed_for_a_while()
    {
        var traffic = new OpenTraffic(_policy, new UpstreamBytes(TestMetrics.New()), NullLogger<OpenTraffic>.Instance);
        Assert.True(traffic.IdleAsync(TimeSpan.FromMinutes(1), CancellationToken.None).IsCompleted);
        var first = traffic.Watch(Request("/a"), Context(_aborts));
        var idle = traffic.IdleAsync(TimeSpan.FromMilliseconds(200), CancellationToken.None);
        first.Dispose();
        using (traffic.Watch(Request("/b"), Context(_aborts)))
            Assert.NotSame(idle, await Task.WhenAny(idle, Task.Delay(400)));
        await idle.WaitAsync(TimeSpan.FromSeconds(10));
        using (traffic.Watch(Request("/c"), Context(_aborts)))
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => traffic.IdleAsync(TimeSpan.FromMilliseconds(1), limit.Token));
        }
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

        public EgressVerdict JudgeTunnel(ConnectTarget target) => EgressVerdict.Allow("");

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target) => EgressVerdict.Allow("");

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string path) =>
            path == Forbidden ? EgressVerdict.Refuse("test", "No.") : EgressVerdict.Allow("");

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => EgressVerdict.Allow("");
    }
}
