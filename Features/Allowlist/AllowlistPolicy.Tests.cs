using System.Net;
using CsCheck;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Allowlist;

public class AllowlistPolicyTests
{
    private static readonly string[] Loopback =
    [
        "127.0.0.1", "2130706433", "0x7f.1", "017700000001", "127.1", "127.0.0.1.", "::ffff:127.0.0.1", "::ffff:7f00:1",
    ];

    [Fact]
    public void Switched_off_it_allows_everything()
    {
        var policy = Policy("enabled: false\ndomains: [a.com]");
        Assert.True(policy.JudgeTunnel(To("b.com")).Allowed);
        Assert.True(policy.JudgeBlindTunnel(To("b.com")).Allowed);
        Assert.True(policy.JudgeRequest(To("b.com"), "PUT", "/x").Allowed);
        Assert.True(policy.JudgeAddress(To("b.com"), IPAddress.Loopback).Allowed);
    }

    [Fact]
    public void Enabled_without_entries_it_refuses_everything() =>
        Gen.OneOf(Gen.Const("a.com"), Gen.Const("8.8.8.8"), Gen.Const("localhost"), Gen.String[Gen.Char["a.1:"], 1, 8]).Sample(host =>
        {
            var policy = Policy("enabled: true");
            return !policy.JudgeTunnel(To(host)).Allowed && !policy.JudgeBlindTunnel(To(host)).Allowed
                && !policy.JudgeRequest(To(host), "GET", "/").Allowed && !policy.JudgeAddress(To(host), IPAddress.Parse("8.8.8.8")).Allowed;
        }, iter: 200);

    [Theory]
    [InlineData("example.com", true)]
    [InlineData("EXAMPLE.com.", true)]
    [InlineData("www.example.com", false)]
    [InlineData("a.b.github.com", true)]
    [InlineData("github.com", false)]
    [InlineData("example.com.evil.org", false)]
    [InlineData("xn--bcher-kva.example", true)]
    [InlineData("192.168.1.7", true)]
    [InlineData("3232235783", true)]
    [InlineData("192.168.2.7", false)]
    [InlineData("[::ffff:192.168.1.7]", true)]
    public void Names_match_domains_and_literals_match_ips(string host, bool allowed)
    {
        var policy = Policy("enabled: true\ndomains: [example.com, \"*.github.com\", bücher.example]\nips: [192.168.1.0/24]");
        Assert.Equal(allowed, policy.JudgeTunnel(To(host)).Allowed);
        Assert.Equal(allowed, policy.JudgeRequest(To(host), "GET", "/").Allowed);
    }

    [Fact]
    public void No_wildcard_and_no_spelling_lets_an_address_literal_through()
    {
        var policy = Policy("enabled: true\ndomains: [\"*\", \"*.0.0.1.example\", \"127.*\"]");
        Assert.All(Loopback, host => Assert.False(policy.JudgeTunnel(To(host)).Allowed));
        policy = Policy("enabled: true\ndomains: [{host: 127.0.0.1, methods: [GET]}]");
        Assert.All(Loopback, host => Assert.True(policy.JudgeRequest(To(host), "GET", "/").Allowed));
        Assert.All(Loopback, host => Assert.False(policy.JudgeRequest(To(host), "POST", "/").Allowed));
    }

    [Theory]
    [InlineData("GET", "/api/x", true)]
    [InlineData("HEAD", "/api/x", true)]
    [InlineData("CONNECT", "/api/x", true)]
    [InlineData("POST", "/api/x", false)]
    [InlineData("GET", "/other", false)]
    [InlineData("GET", "/api/%2e%2e/other", false)]
    [InlineData("get", "/api/x", false)]
    [InlineData("POST", "/upload", true)]
    [InlineData("GET", "/upload", false)]
    public void Methods_and_paths_are_judged_together_entry_by_entry(string method, string path, bool allowed)
    {
        var policy = Policy("""
            enabled: true
            domains:
              - {host: "*.example.com", methods: [GET], paths: ["/api/**"]}
              - {host: "www.example.com", methods: [POST], paths: ["/upload"]}
            """);
        Assert.Equal(allowed, policy.JudgeRequest(To("www.example.com"), method, path).Allowed);
        Assert.True(policy.JudgeTunnel(To("www.example.com")).Allowed);
        Assert.False(policy.JudgeBlindTunnel(To("www.example.com")).Allowed);
    }

    [Theory]
    [InlineData("127.0.0.1", "loopback")]
    [InlineData("::1", "loopback")]
    [InlineData("0.0.0.0", "unspecified")]
    [InlineData("10.0.0.1", "private")]
    [InlineData("169.254.169.254", "metadata")]
    [InlineData("fd00:ec2::254", "metadata")]
    [InlineData("::ffff:169.254.169.254", "metadata")]
    [InlineData("64:ff9b::a9fe:a9fe", "metadata")]
    [InlineData("2002:a9fe:a9fe::", "metadata")]
    [InlineData("fe80::1", "linklocal")]
    [InlineData("100.64.1.1", "private")]
    [InlineData("224.0.0.1", "multicast")]
    public void A_name_may_not_lead_to_an_address_that_is_not_public(string address, string rule)
    {
        var verdict = Policy("enabled: true\ndomains: [\"*\"]").JudgeAddress(To("rebind.example"), IPAddress.Parse(address));
        Assert.False(verdict.Allowed);
        Assert.Equal(rule, verdict.Rule);
        Assert.Contains("rebind.example resolves to ", verdict.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Private_addresses_open_by_an_entry_or_by_allow_private_and_metadata_by_an_entry_only()
    {
        var policy = Policy("enabled: true\ndomains: [a.com]\nallow_private: true");
        Assert.True(policy.JudgeAddress(To("a.com"), IPAddress.Parse("10.0.0.1")).Allowed);
        Assert.True(policy.JudgeAddress(To("a.com"), IPAddress.Loopback).Allowed);
        Assert.False(policy.JudgeAddress(To("a.com"), IPAddress.Parse("169.254.169.254")).Allowed);
        Assert.False(policy.JudgeAddress(To("b.com"), IPAddress.Parse("10.0.0.1")).Allowed);

        policy = Policy("enabled: true\ndomains: [a.com]\nips: [10.0.0.0/8, 169.254.169.254]");
        Assert.True(policy.JudgeAddress(To("a.com"), IPAddress.Parse("::ffff:10.0.0.1")).Allowed);
        Assert.True(policy.JudgeAddress(To("a.com"), IPAddress.Parse("64:ff9b::a9fe:a9fe")).Allowed);
        Assert.False(policy.JudgeAddress(To("a.com"), IPAddress.Loopback).Allowed);
    }

    [Fact]
    public void A_wide_v6_range_does_not_open_the_v4_addresses_embedded_in_it()
    {
        var policy = Policy("enabled: true\nips: [\"::/0\"]");
        Assert.True(policy.JudgeTunnel(To("2606:4700::1111")).Allowed);
        Assert.True(policy.JudgeTunnel(To("64:ff9b::8.8.8.8")).Allowed);
        Assert.False(policy.JudgeTunnel(To("64:ff9b::169.254.169.254")).Allowed);
        Assert.False(policy.JudgeTunnel(To("2002:7f00:1::")).Allowed);
    }

    [Fact]
    public void A_refusal_is_one_sentence_that_names_the_entry_and_the_entry_works()
    {
        AssertCured("domains: []", p => p.JudgeTunnel(To("a.com")), "\"a.com\"", "domains: [\"a.com\"]");
        AssertCured("domains: []", p => p.JudgeTunnel(To("10.1.1.1")), "\"10.1.1.1\"", "ips: [\"10.1.1.1\"]");
        AssertCured("domains: [{host: a.com, methods: [GET]}]", p => p.JudgeBlindTunnel(To("a.com")), "\"a.com\"",
            "domains: [\"a.com\"]");
        AssertCured("domains: [{host: a.com, methods: [GET]}]", p => p.JudgeRequest(To("a.com"), "POST", "/x*y"),
            "{host: \"a.com\", methods: [POST], paths: [\"/x%2Ay\"]}", "domains: [{host: \"a.com\", methods: [POST], paths: [\"/x%2Ay\"]}]");
        AssertCured("domains: [a.com]", p => p.JudgeAddress(To("a.com"), IPAddress.Loopback), "\"127.0.0.1\"",
            "domains: [a.com]\nips: [\"127.0.0.1\"]");

        static void AssertCured(string before, Func<AllowlistPolicy, EgressVerdict> judge, string named, string after)
        {
            var refused = judge(Policy($"enabled: true\n{before}"));
            Assert.False(refused.Allowed);
            Assert.Contains(named, refused.Reason, StringComparison.Ordinal);
            Assert.EndsWith(".", refused.Reason, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', refused.Reason);
            Assert.True(judge(Policy($"enabled: true\n{after}")).Allowed);
        }
    }

    [Fact]
    public void An_entry_with_ports_is_for_these_and_for_whatever_is_spoken_there()
    {
        var policy = Policy("enabled: true\ndomains: [{host: db.example, ports: [5432, 6432]}, {host: 10.0.0.7, ports: [22]}, web.example]");
        Assert.True(policy.JudgeTunnel(new ConnectTarget("db.example", 5432)).Allowed);
        Assert.True(policy.JudgeRawTunnel(new ConnectTarget("db.example", 6432)).Allowed);
        Assert.True(policy.JudgeRequest(new ConnectTarget("db.example", 5432), "GET", "/").Allowed);
        Assert.True(policy.JudgeTunnel(new ConnectTarget("db.example", ConnectTarget.AnyPort)).Allowed);
        Assert.True(policy.JudgeRawTunnel(new ConnectTarget("10.0.0.7", 22)).Allowed);
        foreach (var closed in (ConnectTarget[])[new("db.example", 443), new("10.0.0.7", 23), new("other.example", 5432)])
        {
            Assert.False(policy.JudgeTunnel(closed).Allowed);
            Assert.False(policy.JudgeRawTunnel(closed).Allowed);
            Assert.False(policy.JudgeRequest(closed, "GET", "/").Allowed);
            Assert.False(policy.JudgeAddress(closed, IPAddress.Parse("8.8.8.8")).Allowed);
        }

        Assert.Contains("{host: \"db.example\", ports: [443]}", policy.JudgeTunnel(new ConnectTarget("db.example", 443)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_the_way_out_is_enforced_what_nobody_looks_into_needs_an_entry_with_its_port()
    {
        var options = ConfigDocument.Parse("enabled: true\ndomains: [web.example, {host: db.example, ports: [5432]}]\nips: [10.0.0.0/8]", "test").Read(n => AllowlistOptions.Read(n));
        var rules = new AllowlistRules(options.Value! with { NeedsPorts = true });
        Assert.True(rules.JudgeRawTunnel(new ConnectTarget("db.example", 5432)).Allowed);
        Assert.True(rules.JudgeTunnel(new ConnectTarget("web.example", 22)).Allowed);
        Assert.True(rules.JudgeRequest(new ConnectTarget("web.example", 8443), "GET", "/").Allowed);
        // TLS that is passed through, and what a SOCKS client says to nobody else.
        Assert.True(rules.JudgeBlindTunnel(new ConnectTarget("web.example", 443)).Allowed);
        foreach (var closed in (ConnectTarget[])[new("web.example", 22), new("10.0.0.7", 22)])
            Assert.False(rules.JudgeBlindTunnel(closed).Allowed);
        foreach (var closed in (ConnectTarget[])[new("web.example", 22), new("web.example", 443), new("10.0.0.7", 443)])
        {
            Assert.False(rules.JudgeRawTunnel(closed).Allowed);
            Assert.Contains($"{{host: \"{closed.Host}\", ports: [{closed.Port}]}}", rules.JudgeRawTunnel(closed).Reason, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("0")]
    [InlineData("65536")]
    [InlineData("-1")]
    [InlineData("ssh")]
    public void A_port_that_is_none_is_told(string port)
    {
        var read = ConfigDocument.Parse($"domains: [{{host: a.com, ports: [{port}]}}]", "test").Read(n => AllowlistOptions.Read(n));
        Assert.Contains("must be a port from 1 to 65535", read.ErrorText(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_workspace_may_choose_fewer_ports_never_more()
    {
        var limit = Options("enabled: true\ndomains: [{host: a.com, ports: [1, 2]}]");
        Assert.Empty(limit.Exceeding(Options("domains: [{host: a.com, ports: [2]}]")));
        Assert.Single(limit.Exceeding(Options("domains: [{host: a.com, ports: [2, 3]}]")));
        Assert.Single(limit.Exceeding(Options("domains: [a.com]")));

        // Where egress is enforced an entry with a port lets out what is neither HTTP nor TLS, and one without does not.
        var open = Options("enabled: true\ndomains: [a.com]");
        Assert.Empty(open.Exceeding(Options("domains: [{host: a.com, ports: [5432]}]")));
        Assert.Single((open with { NeedsPorts = true }).Exceeding(Options("domains: [{host: a.com, ports: [5432]}]")));
        Assert.Empty((open with { NeedsPorts = true }).Exceeding(Options("domains: [{host: a.com, methods: [GET]}]")));

        static AllowlistOptions Options(string yaml) => ConfigDocument.Parse(yaml, "test").Read(n => AllowlistOptions.Read(n)).Value!;
    }

    [Fact]
    public void A_reload_holds_at_once_and_never_leaves_a_gap()
    {
        var live = new Live<AllowlistRules>(Rules("enabled: true\ndomains: [a.com]"));
        var policy = PolicyOver.Rules(live);
        AllowlistRules[] rules = [Rules("enabled: true\ndomains: [b.com]"), Rules("enabled: true\ndomains: [a.com]")];
        var stop = false;
        var reloads = new Thread(() =>
        {
            for (var i = 0; i < 10_000; i++)
                live.Replace(rules[i % 2]);
            Volatile.Write(ref stop, true);
        });
        reloads.Start();
        var leaked = 0;
        while (!Volatile.Read(ref stop))
            leaked += policy.JudgeRequest(To("forbidden.com"), "GET", "/").Allowed ? 1 : 0;
        reloads.Join();
        Assert.Equal(0, leaked);
        Assert.True(policy.JudgeTunnel(To("a.com")).Allowed);
        Assert.False(policy.JudgeTunnel(To("b.com")).Allowed);
    }

    [Fact]
    public void Thousands_of_entries_cost_no_more_than_a_few()
    {
        var domains = string.Join(", ", Enumerable.Range(0, 10_000).Select(i => $"\"*.host{i}.example\""));
        var policy = Policy($"enabled: true\ndomains: [{domains}]");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        for (var i = 0; i < 10_000; i++)
            Assert.False(policy.JudgeTunnel(To("a.b.c.nowhere.example")).Allowed);
        // A walk through all entries would be 100 million comparisons.
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(1));
    }

    private static AllowlistPolicy Policy(string yaml) =>
        PolicyOver.Rules(new Live<AllowlistRules>(Rules(yaml)));

    private static AllowlistRules Rules(string yaml) =>
        new(ConfigDocument.Parse(yaml, "t").Read(n => AllowlistOptions.Read(n)) is { IsValid: true } read
            ? read.Value : throw new FormatException(yaml));

    private static ConnectTarget To(string host) => new(host, 443);
}
