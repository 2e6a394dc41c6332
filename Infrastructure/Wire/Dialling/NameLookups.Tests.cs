using System.Net;
using System.Net.Sockets;
using Discobot.Tests.Fixtures;

namespace Discobot.Infrastructure.Wire.Dialling;

public sealed class NameLookupsTests : IDisposable
{
    private readonly ManualResetEventSlim _answer = new();

    public void Dispose() => _answer.Set();

    /// <summary>More names than there are threads, of one zone and then of many, whose name servers are silent.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    public async Task However_many_names_go_unanswered_those_of_other_zones_have_their_answers(int zones)
    {
        var names = new NameLookups(Resolve);
        var silent = Enumerable.Range(0, 6000).Select(i => names.ResolveAsync($"name{i}.silent{i % zones}.test", default)).ToArray();

        for (var i = 0; i < 20; i++)
            Assert.Equal([IPAddress.Parse("203.0.113.7")], await names.ResolveAsync($"live{i}.example", default).WaitAsync(TimeSpan.FromSeconds(30)));

        _answer.Set();
        foreach (var task in silent)
            await Assert.ThrowsAsync<SocketException>(() => task);
    }

    [Fact]
    public async Task A_name_that_gets_no_answer_is_told_as_such_and_not_as_its_host()
    {
        var dialer = new Dialer(new AllAllowed(), new OwnListeners([]), ParentProxies.None, new NameLookups(Resolve, new HurriedTime()));

        var failure = await Assert.ThrowsAsync<SocketException>(() => dialer.ConnectAsync(new ConnectTarget("name.silent.test", 443), "https", default));
        var error = Failures.UpstreamFailures.ToError(failure, "name.silent.test");
        Assert.Equal(("upstream_unresolved", "The name name.silent.test could not be resolved: no name server answered."), (error.Code, error.Reason));
    }

    private IPAddress[] Resolve(string name)
    {
        if (!name.Contains("silent", StringComparison.Ordinal))
            return [IPAddress.Parse("203.0.113.7")];
        Assert.True(_answer.Wait(TimeSpan.FromMinutes(2)));
        throw new SocketException((int)SocketError.HostNotFound);
    }

    private sealed class AllAllowed : IEgressPolicy
    {
        public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null) => EgressVerdict.Allow("test");

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => EgressVerdict.Allow("test");

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null) => EgressVerdict.Allow("test");

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => EgressVerdict.Allow("test");
    }
}
