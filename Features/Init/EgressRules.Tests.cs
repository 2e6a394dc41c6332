using System.Net;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Nftables;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

public sealed class EgressRulesTests : IDisposable
{
    private readonly ContainerFixture _fixture = new();
    private readonly List<EgressPlan> _plans = [];
    private readonly List<IPAddress> _addresses = [];
    private readonly List<IPAddress> _routes = [];
    private Action<string, string> _loses = (_, _) => Assert.Fail("nobody listens");
    private Action _interfaceComes = () => Assert.Fail("nobody listens");
    private bool _isThere = true;
    private int _disposed;
    private int _left;

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
        Assert.Equal([IPAddress.Loopback, IPAddress.IPv6Loopback], _routes);
    }

    [Fact]
    public async Task An_interface_that_comes_later_gets_its_ways_to_the_entry_too()
    {
        await Rules("enforce", isNamed: true).CloseAsync();
        _routes.Clear();
        _interfaceComes();
        Assert.Equal([IPAddress.Loopback, IPAddress.IPv6Loopback], _routes);
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
    public async Task Open_there_are_no_rules_and_nothing_is_said_of_them()
    {
        var rules = Rules("open", isNamed: true, error: 1);
        await rules.CloseAsync();
        await rules.LeadAsync();
        Assert.Empty(_plans);
        Assert.Equal(EgressMode.Open, rules.Mode);
        Assert.DoesNotContain("warning", _fixture.Output, StringComparison.Ordinal);
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

    /// <summary>4242 is the proxy's user.</summary>
    [Theory]
    [InlineData(4242, 0, true, "the agent has the number of the proxy's own user (4242), who is let out")]
    [InlineData(1000, 8, true, "run the container with --cap-add SETPCAP")]
    [InlineData(1000, 21, false, "run the container with --cap-add SYS_ADMIN")]
    public async Task Who_is_held_by_no_rule_for_its_number_or_for_want_of_a_capability_is_told(uint user, int missing, bool noNewPrivileges, string reason)
    {
        var agent = new UserRecord("agent", user, 1000, "/", "/bin/sh", [1000]);
        var error = await Assert.ThrowsAsync<StartupException>(() => Rules("enforce", isNamed: true, agent: agent, missing: missing, noNewPrivileges: noNewPrivileges).CloseAsync());
        Assert.StartsWith("egress.mode enforce cannot be kept: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        await Rules("enforce", isNamed: false, agent: agent, missing: missing, noNewPrivileges: noNewPrivileges).CloseAsync();
        Assert.Contains("warning: egress redirect instead of enforce: ", _fixture.Output, StringComparison.Ordinal);
        await Rules("enforce", isNamed: true, agent: agent, trusts: true, missing: missing, noNewPrivileges: noNewPrivileges).CloseAsync();
        Assert.Equal([EgressMode.Redirect, EgressMode.Enforce], _plans.Select(p => p.Mode));
    }

    /// <summary>As it is in the network of a pod whose container starts again.</summary>
    [Fact]
    public async Task What_an_init_left_closed_that_was_killed_stays_so_until_the_mode_is_known()
    {
        var rules = Rules("open", isNamed: true);
        rules.Rules.TakeOver();
        var plan = Assert.Single(_plans);
        Assert.Equal((EgressMode.Enforce, 0u, false), (plan.Mode, plan.ProxyUser, plan.IsServed));
        Assert.Equal(0, _disposed);
        await rules.CloseAsync();
        Assert.Equal((1, 0), (_disposed, _left));

        // A start that fails before that frees nobody.
        rules = Rules("open", isNamed: true);
        rules.Rules.TakeOver();
        rules.Rules.Dispose();
        Assert.Equal((1, 1), (_disposed, _left));
        _plans.RemoveAt(1);

        _isThere = false;
        Rules("open", isNamed: true).Rules.TakeOver();
        Assert.Single(_plans);
    }

    [Fact]
    public async Task Containers_inside_that_get_no_authority_are_led_nowhere_unless_it_is_enforced()
    {
        // Under a policy clients are led to the proxy whether they can trust it or not.
        _fixture.Write("/etc/discobot/policy.yaml", "");
        foreach (var mode in (string[])["redirect", "enforce"])
        {
            var rules = Rules(mode, isNamed: true);
            await rules.CloseAsync();
            await rules.LeadAsync(isTrusted: false);
        }

        Assert.Equal([false, true], _plans.Where(p => p.IsServed).Select(p => p.LeadsContainers));
    }

    [Fact]
    public async Task Programs_that_could_not_trust_the_proxy_are_not_led_to_it_unless_that_is_enforced()
    {
        var redirect = Rules("redirect", isNamed: false);
        await redirect.CloseAsync();
        await redirect.LeadAsync(isTrusted: false);
        var enforce = Rules("enforce", isNamed: false);
        await enforce.CloseAsync();
        await enforce.LeadAsync(isTrusted: false);
        Assert.Equal((EgressMode.Open, EgressMode.Enforce), (redirect.Mode, enforce.Mode));
        Assert.Equal(EgressMode.Enforce, Assert.Single(_plans, p => p.IsServed).Mode);
        Assert.Contains("warning: programs that do not use the proxy go out directly: there is no way by which they could trust it", _fixture.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("enforce", 0, null, true)]
    [InlineData("enforce", 1, null, false)]
    [InlineData("enforce", 1, true, true)]
    [InlineData("enforce", 0, false, false)]
    [InlineData("redirect", 0, null, false)]
    public async Task Dockers_socket_is_guarded_as_somebody_said_or_where_egress_is_enforced_in_fact(string mode, int error, bool? guard, bool expected)
    {
        var rules = Rules(mode, isNamed: false, error);
        await (rules with { Settings = rules.Settings with { DockerGuard = guard } }).CloseAsync();
        Assert.Equal(expected, rules.Rules.GuardsDocker);
    }

    [Fact]
    public async Task What_the_operator_said_is_not_forgotten_with_a_configuration_that_cannot_be_put_in_place()
    {
        var rules = Rules("redirect", isNamed: false);
        rules = rules with { Settings = new ProxySummary() };
        await rules.CloseAsync();
        Assert.Empty(_plans);
        _fixture.Write("/etc/discobot/policy.yaml", "allowlist: {enabled: true}\n");
        await Assert.ThrowsAsync<StartupException>(rules.CloseAsync);
    }

    [Fact]
    public async Task A_kernel_without_the_packet_filter_is_told_from_a_missing_capability()
    {
        await Rules("redirect", isNamed: false, error: 2).CloseAsync();
        Assert.Contains("the kernel needs nf_tables", _fixture.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("--cap-add", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_table_that_somebody_takes_away_is_told_as_an_attack_and_ours_is_put_back()
    {
        var rules = Rules("enforce", isNamed: true);
        await rules.CloseAsync();
        // Of our own, of the inner Docker's, of somebody's.
        _loses("discobot", "discobot");
        _loses("docker-bridges", "dockerd");
        Assert.DoesNotContain("attack", _fixture.Output, StringComparison.Ordinal);
        _loses("nat", "nft");
        Assert.Contains("warning: attack: nft took the table nat out of the packet filter; the rules of the way out are untouched", _fixture.Output, StringComparison.Ordinal);
        Assert.Single(_plans);

        _isThere = false;
        rules = Rules("enforce", isNamed: true);
        await rules.CloseAsync();
        _loses("discobot", "nft");
        Assert.Contains("nft took the table discobot out of the packet filter; the rules of the way out are put back", _fixture.Output, StringComparison.Ordinal);
        Assert.Equal(_plans[^2], _plans[^1]);
    }

    private Subject Rules(string mode, bool isNamed, int error = 0, bool isMachines = false, UserRecord? agent = null, bool trusts = false, int missing = 0, bool noNewPrivileges = true)
    {
        var c = _fixture.Container;
        var services = c.Services with
        {
            IsMachinesNetwork = () => isMachines,
            OpenEgressTable = () => new Table(_plans, error, _isThere, () => _disposed++, () => _left++),
            HasCapability = number => number != missing,
            WatchRuleset = tell =>
            {
                _loses = (name, program) => tell(new TableLoss(name, program));
                return _ => Task.CompletedTask;
            },
            AddLoopbackAddress = _addresses.Add,
            AddLoopbackRoutes = _routes.Add,
            WatchInterfaces = changed =>
            {
                _interfaceComes = changed;
                return _ => Task.CompletedTask;
            },
        };
        var egress = new EgressOptions { Mode = mode switch { "enforce" => EgressMode.Enforce, "open" => EgressMode.Open, _ => EgressMode.Redirect }, TrustAgent = trusts, NoNewPrivileges = noNewPrivileges };
        var container = new Container(c.Paths, c.Session, agent ?? c.Agent, c.Environment, services, c.Log, c.Spawner);
        return new Subject(new EgressRules(container), container, new ProxySummary { Egress = egress, EgressIsNamed = isNamed });
    }

    private sealed record Subject(EgressRules Rules, Container Container, ProxySummary Settings)
    {
        public EgressMode Mode => Rules.Mode;

        public Task CloseAsync() => Rules.CloseAsync(new DataVolume("proxy", new Owner(4242, 4242), Task.CompletedTask), Settings);

        public Task LeadAsync(bool isTrusted = true)
        {
            var proxy = new ClientProxy(Container, Settings, new ClientTrust { Bundle = isTrusted ? "/etc/ssl/certs/ca-certificates.crt" : null });
            proxy.BeginServing();
            return Rules.LeadAsync(proxy);
        }
    }

    private sealed class Table(List<EgressPlan> plans, int error, bool isThere, Action disposed, Action left) : IEgressTable
    {
        public void Set(EgressPlan plan)
        {
            if (error != 0)
                throw new LibcException("nftables", "table inet discobot", error);
            plans.Add(plan);
        }

        public IReadOnlyDictionary<string, long> Refused() => new Dictionary<string, long>();

        public IReadOnlyList<IPEndPoint> Passed() => [];

        public bool IsThere => isThere;

        public void Leave() => left();

        public void Dispose() => disposed();
    }
}
