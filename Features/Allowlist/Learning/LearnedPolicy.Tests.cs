using System.Net;
using CsCheck;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Allowlist.Learning;

public class LearnedPolicyTests
{
    [Fact]
    public void The_policy_of_some_package_downloads_is_short_and_exact()
    {
        var (policy, learned) = Learn();
        foreach (var package in (string[])["a", "b", "c", "d", "e"])
        {
            Request(policy, "registry.npmjs.org", "GET", $"/{package}");
            Request(policy, "registry.npmjs.org", "GET", $"/{package}/-/{package}-1.0.0.tgz");
        }

        Request(policy, "registry.npmjs.org", "POST", "/-/npm/v1/security/audits");
        Request(policy, "github.com", "GET", "/org/repo.git/info/refs");
        Request(policy, "github.com", "POST", "/org/repo.git/git-upload-pack");
        policy.JudgeTunnel(new ConnectTarget("pinned.example", 443));
        policy.JudgeBlindTunnel(new ConnectTarget("10.0.0.7", 22));
        policy.JudgeAddress(new ConnectTarget("github.com", 443), IPAddress.Parse("192.168.0.9"));
        policy.JudgeAddress(new ConnectTarget("github.com", 443), IPAddress.Parse("140.82.121.3"));
        Assert.Equal(
            """
            allowlist:
              enabled: true
              mode: enforce
              domains:
                - {host: "github.com", methods: [GET], paths: ["/org/repo.git/info/refs"]}
                - {host: "github.com", methods: [POST], paths: ["/org/repo.git/git-upload-pack"]}
                - "pinned.example"
                - {host: "registry.npmjs.org", methods: [GET]}
                - {host: "registry.npmjs.org", methods: [POST], paths: ["/-/npm/v1/security/audits"]}
              ips:
                - "10.0.0.7"
                - "192.168.0.9"

            """,
            LearnedPolicy.ToYaml(learned.Report()));
    }

    [Fact]
    public void Names_are_joined_on_request_where_all_need_the_same()
    {
        var (policy, learned) = Learn();
        foreach (var shard in (string[])["s1", "s2", "s3", "s4"])
            Request(policy, $"{shard}.cdn.example", "GET", "/blob");
        Request(policy, "s5.cdn.example", "PUT", "/blob");
        Assert.DoesNotContain("*.", LearnedPolicy.ToYaml(learned.Report()), StringComparison.Ordinal);
        var joined = LearnedPolicy.ToYaml(learned.Report(), joinNames: true);
        Assert.Contains("{host: \"*.cdn.example\", methods: [GET], paths: [\"/blob\"]}", joined, StringComparison.Ordinal);
        Assert.Contains("{host: \"s5.cdn.example\", methods: [PUT], paths: [\"/blob\"]}", joined, StringComparison.Ordinal);
        Assert.DoesNotContain("s1.", joined, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_learned_is_allowed_by_the_exported_policy_and_no_method_more()
    {
        var host = Gen.OneOf(Gen.Const("a.example"), Gen.Const("b.example"), Gen.Const("10.0.0.1"), Gen.Const("::1"));
        var method = Gen.OneOf(Gen.Const("GET"), Gen.Const("HEAD"), Gen.Const("POST"), Gen.Const("DELETE"));
        var segment = Gen.OneOf(Gen.Const("a"), Gen.Const("b%2fc"), Gen.Const("*"), Gen.Const(".."), Gen.Const("x;y"), Gen.Const("é\"'"),
            Gen.Char["abcdefghij"].Select(c => c.ToString()), Gen.Const("%252e"), Gen.Const("%00"));
        var path = segment.Array[0, 4].Select(s => "/" + string.Join('/', s));
        Gen.Select(host, method, path).Array[1, 40].Sample(requests =>
        {
            var (policy, learned) = Learn();
            foreach (var (h, m, p) in requests)
                Request(policy, h, m, p);
            var enforced = Enforce(LearnedPolicy.ToYaml(learned.Report()));
            foreach (var (h, m, p) in requests)
                Assert.True(enforced.JudgeRequest(new ConnectTarget(h, 443), m, p).Allowed, $"{h} {m} {p}");
            foreach (var (h, _, p) in requests)
            {
                Assert.False(enforced.JudgeRequest(new ConnectTarget(h, 443), "PATCH", p).Allowed);
                var posts = requests.Any(r => r.Item1 == h && r.Item2 == "POST");
                Assert.True(posts || !enforced.JudgeRequest(new ConnectTarget(h, 443), "POST", p).Allowed);
            }
        }, iter: 300);
    }

    [Fact]
    public void Memory_is_bounded_and_overflow_widens_paths_instead_of_losing_them()
    {
        var (policy, learned) = Learn();
        for (var i = 0; i < LearnedTraffic.MaxPathsPerMethod + 10; i++)
            Request(policy, "a.example", "GET", $"/{i}");
        for (var i = 0; i < LearnedTraffic.MaxHosts + 10; i++)
            policy.JudgeTunnel(new ConnectTarget($"h{i}.example", 443));
        var report = learned.Report();
        Assert.True(report.Incomplete);
        Assert.Equal(LearnedTraffic.MaxHosts, report.Hosts.Count);
        Assert.True(Assert.Single(report.Hosts[0].Methods).More);
        Assert.Contains("- {host: \"a.example\", methods: [GET]}\n", LearnedPolicy.ToYaml(report), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_neither_HTTP_nor_TLS_is_learned_with_its_port()
    {
        var (policy, learned) = Learn();
        policy.JudgeTunnel(new ConnectTarget("db.example", 5432));
        policy.JudgeRawTunnel(new ConnectTarget("db.example", 5432));
        policy.JudgeRawTunnel(new ConnectTarget("10.0.0.7", 22));
        Request(policy, "db.example", "GET", "/");
        var restored = new LearnedTraffic();
        restored.Restore(learned.Report());
        var yaml = LearnedPolicy.ToYaml(restored.Report());
        Assert.Contains("- {host: \"10.0.0.7\", ports: [22]}\n    - {host: \"db.example\", methods: [GET], paths: [\"/\"]}\n    - {host: \"db.example\", ports: [5432]}\n", yaml, StringComparison.Ordinal);
        var enforced = Enforce(yaml);
        Assert.True(enforced.JudgeRawTunnel(new ConnectTarget("db.example", 5432)).Allowed);
        Assert.True(enforced.JudgeRawTunnel(new ConnectTarget("10.0.0.7", 22)).Allowed);
        Assert.False(enforced.JudgeRawTunnel(new ConnectTarget("db.example", 5433)).Allowed);
    }

    [Fact]
    public void Outside_learn_mode_nothing_is_recorded()
    {
        var learned = new LearnedTraffic();
        var policy = PolicyOver.Rules(new Live<AllowlistRules>(new AllowlistRules(new AllowlistOptions())), learned);
        Request(policy, "a.example", "GET", "/");
        Assert.Empty(learned.Report().Hosts);
    }

    private static (AllowlistPolicy Policy, LearnedTraffic Learned) Learn()
    {
        var learned = new LearnedTraffic();
        var options = new AllowlistOptions { Enabled = true, Mode = AllowlistMode.Learn };
        return (PolicyOver.Rules(new Live<AllowlistRules>(new AllowlistRules(options)), learned), learned);
    }

    private static void Request(AllowlistPolicy policy, string host, string method, string path)
    {
        Assert.True(policy.JudgeTunnel(new ConnectTarget(host, 443)).Allowed);
        Assert.True(policy.JudgeRequest(new ConnectTarget(host, 443), method, path).Allowed);
    }

    private static AllowlistPolicy Enforce(string yaml)
    {
        var read = ConfigDocument.Parse(yaml, "exported").Read(n => AllowlistOptions.Read(n["allowlist"]));
        Assert.True(read.IsValid, read.ErrorText());
        return PolicyOver.Rules(new Live<AllowlistRules>(new AllowlistRules(read.Value)));
    }
}
