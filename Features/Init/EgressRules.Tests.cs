using System.Net;
using Discobot.Features.Egress;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

public sealed class EgressRulesTests : IDisposable
{
    private readonly ContainerFixture _fixture = new();
    private readonly List<EgressPlan> _plans = [];
    private readonly List<IPAddress> _addresses = [];

    public void Dispose() => _fixture.Dispose();

    [Theory, InlineData("redirect"), InlineData("enforce")]
    public async Task Closed_before_the_proxy_serves_and_led_to_it_then(string mode)
    {
        var rules = Rules(mode, isNamed: false);
        await rules.CloseAsync();
        await rules.LeadAsync();
        Assert.Equal([(mode, false), (mode, true)], _plans.Select(p => (EgressOptions.Word(p.Mode), p.IsServed)));
        Assert.Equal(mode, EgressOptions.Word(rules.Mode));
        Assert.Equal(EgressFeature.Nested, _addresses);
    }

    [Theory]
    [InlineData("redirect", false, "warning: programs that do not use the proxy go out directly: nftables table inet discobot: Operation not permitted; run the container with --cap-add NET_ADMIN")]
    [InlineData("redirect", true, "warning: programs that do not use the proxy go out directly")]
    [InlineData("enforce", false, "warning: the allowlist does not bind programs that do not use the proxy, they go out directly")]
    public async Task What_was_not_promised_by_name_is_given_up_with_a_warning(string mode, bool isNamed, string warning)
    {
        var rules = Rules(mode, isNamed, error: 1);
        await rules.CloseAsync();
        Assert.Contains(warning, _fixture.Output, StringComparison.Ordinal);
        Assert.Equal(EgressMode.Open, rules.Mode);
    }

    [Fact]
    public async Task What_was_promised_by_name_is_kept_or_the_start_fails()
    {
        var error = await Assert.ThrowsAsync<StartupException>(() => Rules("enforce", isNamed: true, error: 1).CloseAsync());
        Assert.Contains("run the container with --cap-add NET_ADMIN", error.Message, StringComparison.Ordinal);
        error = await Assert.ThrowsAsync<StartupException>(() => Rules("enforce", isNamed: true, isMachines: true).CloseAsync());
        Assert.Contains("without --network host", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_machines_own_network_is_left_alone()
    {
        await Rules("redirect", isNamed: true, isMachines: true).CloseAsync();
        Assert.Empty(_plans);
        Assert.Contains("run the container without --network host", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_is_root_is_held_by_no_rule_and_the_start_says_so()
    {
        var root = new UserDatabase("/etc").Find("root")!;
        await Assert.ThrowsAsync<StartupException>(() => Rules("enforce", isNamed: true, agent: root).CloseAsync());
        await Rules("enforce", isNamed: false, agent: root).CloseAsync();
        Assert.Contains("warning: egress redirect instead of enforce: the agent runs as root", _fixture.Output, StringComparison.Ordinal);
        await Rules("enforce", isNamed: true, agent: root, trusts: true).CloseAsync();
        Assert.Equal([EgressMode.Redirect, EgressMode.Enforce], _plans.Select(p => p.Mode));
    }

    [Fact]
    public async Task Containers_inside_that_get_no_authority_are_led_nowhere_unless_it_is_enforced()
    {
        foreach (var mode in (string[])["redirect", "enforce"])
        {
            var rules = Rules(mode, isNamed: true);
            await rules.CloseAsync();
            await rules.LeadAsync();
        }

        Assert.Equal([false, true], _plans.Where(p => p.IsServed).Select(p => p.LeadsContainers));
    }

    private Subject Rules(string mode, bool isNamed, int error = 0, bool isMachines = false, UserRecord? agent = null, bool trusts = false)
    {
        var c = _fixture.Container;
        var services = c.Services with
        {
            IsMachinesNetwork = () => isMachines,
            OpenEgressTable = () => new Table(_plans, error),
            AddLoopbackAddress = _addresses.Add,
        };
        var egress = new EgressOptions { Mode = mode == "enforce" ? EgressMode.Enforce : EgressMode.Redirect, TrustAgent = trusts };
        var container = new Container(c.Paths, c.Session, agent ?? c.Agent, c.Environment, services, c.Log, c.Spawner);
        return new Subject(new EgressRules(container), container, new ProxySummary { Egress = egress, EgressIsNamed = isNamed });
    }

    private sealed record Subject(EgressRules Rules, Container Container, ProxySummary Settings)
    {
        public EgressMode Mode => Rules.Mode;

        public Task CloseAsync() => Rules.CloseAsync(new DataVolume("proxy", new Owner(4242, 4242), Task.CompletedTask), Settings);

        public Task LeadAsync()
        {
            var proxy = new ClientProxy(Container, Settings, new ClientTrust());
            proxy.BeginServing();
            return Rules.LeadAsync(proxy);
        }
    }

    private sealed class Table(List<EgressPlan> plans, int error) : IEgressTable
    {
        public void Set(EgressPlan plan)
        {
            if (error != 0)
                throw new LibcException("nftables", "table inet discobot", error);
            plans.Add(plan);
        }

        public void Dispose()
        {
        }
    }
}
