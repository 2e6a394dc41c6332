using System.Net;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Allowlist;

public sealed class DenyRulesTests
{
    [Theory]
    [InlineData("enabled: true\ndomains: [\"*\"]")]
    [InlineData("enabled: false")]
    [InlineData("mode: learn")]
    public void What_is_denied_is_refused_whatever_allows_it(string allows)
    {
        var rules = Rules(allows + "\ndeny: [evil.example, \"*.evil.example\", {host: one.example, ports: [8443]}]");
        Assert.False(rules.JudgeTunnel(To("evil.example")).Allowed);
        Assert.False(rules.JudgeRequest(To("a.EVIL.example."), "GET", "/").Allowed);
        Assert.False(rules.JudgeBlindTunnel(To("evil.example", 22)).Allowed);
        Assert.False(rules.JudgeRequest(To("one.example", 8443), "GET", "/").Allowed);
        Assert.True(rules.JudgeRequest(To("one.example"), "GET", "/").Allowed);
        Assert.True(rules.JudgeTunnel(To("one.example", ConnectTarget.AnyPort)).Allowed);
        Assert.True(rules.JudgeRequest(To("notevil.example"), "GET", "/").Allowed);
        var refused = rules.JudgeRequest(To("evil.example"), "GET", "/");
        Assert.Equal("deny \"evil.example\"", refused.Rule);
        Assert.Contains("allowlist.deny", refused.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST", "/admin/x", false)]
    [InlineData("POST", "/%61dmin/x", false)]
    [InlineData("POST", "/%2561dmin/x", false)]
    [InlineData("POST", "//admin/x", false)]
    [InlineData("POST", "/public/../admin/x", false)]
    [InlineData("POST", "/admin;v=1/x", false)]
    [InlineData("POST", "/public", true)]
    [InlineData("GET", "/admin/x", true)]
    public void A_spelling_that_some_server_may_read_as_the_denied_path_is_denied(string method, string path, bool allowed) =>
        Assert.Equal(allowed, Rules("deny: [{host: a.example, methods: [POST], paths: [\"/admin/**\"]}]").JudgeRequest(To("a.example"), method, path).Allowed);

    [Fact]
    public void What_is_denied_in_part_passes_no_tunnel_that_nobody_looks_into()
    {
        var rules = Rules("enabled: true\ndomains: [a.example]\ndeny: [{host: a.example, methods: [DELETE]}]");
        Assert.False(rules.JudgeBlindTunnel(To("a.example")).Allowed);
        Assert.False(rules.JudgeRawTunnel(To("a.example", 5432)).Allowed);
        Assert.True(rules.JudgeTunnel(To("a.example")).Allowed);
        Assert.True(rules.JudgeRequest(To("a.example"), "GET", "/").Allowed);
        Assert.False(rules.JudgeRequest(To("a.example"), "DELETE", "/").Allowed);
    }

    [Fact]
    public void Where_GET_is_denied_so_is_HEAD() =>
        Assert.False(Rules("deny: [{host: a.example, methods: [GET]}]").JudgeRequest(To("a.example"), "HEAD", "/").Allowed);

    [Theory]
    [InlineData("198.51.100.7")]
    [InlineData("::ffff:198.51.100.7")]
    public void A_denied_address_is_not_reached_by_a_name_either(string address)
    {
        var rules = Rules("deny: [198.51.100.7]");
        Assert.False(rules.JudgeAddress(To("innocent.example"), IPAddress.Parse(address)).Allowed);
        Assert.False(rules.JudgeTunnel(To("3325256711")).Allowed);
        Assert.True(rules.JudgeAddress(To("innocent.example"), IPAddress.Parse("198.51.100.8")).Allowed);
    }

    [Fact]
    public async Task A_client_is_told_and_the_metric_counts_it()
    {
        await using var proxy = await RunningProxy.StartAsync("allowlist: {deny: [{host: localhost, paths: [/secret/**]}]}");
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("fine"));
        using var client = proxy.Client();
        Assert.Equal("fine", await client.GetStringAsync($"{origin.Https}/open"));
        using var refused = await client.GetAsync($"{origin.Https}/secret/x");

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Contains("of allowlist.deny", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var api = proxy.Api();
        Assert.Contains("discobot_blocked_total{kind=\"denied\"} 1", await api.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    private static AllowlistRules Rules(string yaml) =>
        new(ConfigDocument.Parse(yaml, "test.yaml").Read(root => AllowlistOptions.Read(root)).Value!);

    private static ConnectTarget To(string host, int port = 443) => new(ConnectTarget.Normalize(host), port);
}
