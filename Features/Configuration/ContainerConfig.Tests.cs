using Discobot.Features.Egress;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

public sealed class ContainerConfigTests : IDisposable
{
    private static readonly Dictionary<string, string> NoVariables = [];
    private readonly string _policy = Path.GetTempFileName();

    public void Dispose() => File.Delete(_policy);

    [Fact]
    public void A_good_text_of_the_workspace_counts_word_for_word()
    {
        const string Text = "proxy:\n  port: 17080\ncache:\n  max_size: 53687091200 # 50 GB\n";
        var choice = Choose(Text);
        Assert.Equal(Text, choice.Text);
        Assert.Equal(53687091200, choice.Settings.Cache.MaxSize);
        Assert.Empty(choice.Refused);
    }

    [Fact]
    public void Without_one_the_built_in_default_counts()
    {
        var choice = Choose(null);
        Assert.Equal(DefaultConfiguration.Text(), choice.Text);
        Assert.Empty(choice.Refused);
    }

    [Theory]
    [InlineData("cache: [")]
    [InlineData("cahce:\n  enabled: true\n")]
    [InlineData("proxy:\n  port: 99999\n")]
    [InlineData("cache:\n  dir: /etc\n")]
    [InlineData("cache:\n  dir: /.data/proxy\n")]
    [InlineData("cache:\n  dir: /.data/proxy/../../etc\n")]
    [InlineData("cache:\n  dir: /.data/proxyevil\n")]
    [InlineData("cache:\n  dir: /.data/proxy/certs/x\n")]
    [InlineData("tls:\n  cert_dir: /.data/proxy/other\n")]
    [InlineData("tls:\n  extra_ca: [/etc/shadow]\n")]
    [InlineData("logging:\n  file: /etc/cron.d/x\n")]
    [InlineData("logging:\n  file: /.data/proxy/certs/ca.key\n")]
    [InlineData("logging:\n  file: /.data/proxy/config.yaml\n")]
    [InlineData("api:\n  token_file: /.data/proxy/certs/ca.crt\n")]
    [InlineData("api:\n  listen: [0.0.0.0]\n")]
    [InlineData("proxy:\n  listen: ['::']\n")]
    [InlineData("headers:\n  evil.example:\n    set:\n      X-Key: file:/.data/proxy/certs/ca.key\n")]
    [InlineData("socks:\n  users:\n    me: file:/.data/proxy/api.token\n")]
    public void A_bad_or_dangerous_text_is_refused_with_the_reason_and_the_default_counts(string text)
    {
        var choice = Choose(text);
        Assert.NotEmpty(choice.Refused);
        Assert.Equal(DefaultConfiguration.Text(), choice.Text);
    }

    [Fact]
    public void Every_mistake_is_told()
        => Assert.Equal(3, Choose("cache:\n  dir: /etc\nlogging:\n  file: /x\napi:\n  listen: [1.2.3.4]\n").Refused.Count);

    [Fact]
    public void What_the_operator_locks_counts_over_workspace_and_default()
    {
        Policy("cache:\n  max_size: 1GiB\nproxy:\n  upstream: http://gate:3128\n");
        foreach (var workspace in new[] { null, "cache:\n  max_size: 9GiB\n  stale_tags: true\nproxy:\n  upstream: http://evil:1\n" })
        {
            var settings = Written(Choose(workspace));
            Assert.Equal(1L << 30, settings.Cache.MaxSize);
            Assert.Equal("gate", settings.Proxy.Upstream!.Target.Host);
            Assert.Equal(workspace is not null, settings.Cache.StaleTags);
        }
    }

    [Theory]
    [InlineData(null, null, "open")]
    [InlineData(null, "egress: {mode: enforce}", "enforce")]
    [InlineData("egress: {mode: redirect}", "egress: {mode: open}", "redirect", 1)]
    [InlineData("egress: {mode: open}", "egress: {mode: redirect}", "redirect")]
    [InlineData("egress: {mode: enforce}", "egress: {mode: redirect}", "enforce", 1)]
    [InlineData("egress: {mode: redirect}", "egress: {mode: enforce}", "enforce")]
    public void A_workspace_may_only_tighten_what_is_let_out(string? policy, string? workspace, string expected, int refused = 0)
    {
        if (policy is not null)
            Policy(policy);
        var choice = Choose(workspace);
        Assert.Equal((expected, refused), (EgressOptions.Word(choice.Settings.EgressMode), choice.Refused.Count));
    }

    [Theory]
    [InlineData("open", "egress: {mode: redirect}", "redirect")]
    [InlineData("redirect", "egress: {mode: enforce}", "enforce")]
    [InlineData("enforce", "egress: {mode: open}", "enforce", 1)]
    public void The_word_of_the_environment_is_the_operators(string variable, string workspace, string expected, int refused = 0)
    {
        var choice = ContainerConfig.Choose(workspace, "/none", new Dictionary<string, string> { ["DISCOBOT_EGRESS"] = variable });
        Assert.Equal((expected, refused), (EgressOptions.Word(choice.Settings.EgressMode), choice.Refused.Count));
    }

    [Theory]
    [InlineData("[good.example]")]
    [InlineData("['*.below.example', a.below.example, 'b.*', b.com]")]
    [InlineData("[{host: paths.example, paths: ['/a/**'], methods: [GET]}]")]
    public void A_workspace_may_tighten_the_operators_allowlist(string domains)
    {
        Policy(Allowlist);
        var choice = Choose($"allowlist:\n  enabled: false\n  domains: {domains}\n");
        Assert.Empty(choice.Refused);
        var written = Written(choice).Allowlist;
        Assert.True(written.Enabled);
        Assert.DoesNotContain(written.Domains, rule => rule.Host.Text == "other.example");
    }

    [Theory]
    [InlineData("domains: ['*']")]
    [InlineData("domains: [evil.example]")]
    [InlineData("domains: ['*.good.example']")]
    [InlineData("domains: [below.example]")]
    [InlineData("domains: ['*.elow.example']")]
    [InlineData("domains: [paths.example]")]
    [InlineData("domains: [{host: paths.example, methods: [GET], paths: ['/**']}]")]
    [InlineData("domains: [{host: paths.example, methods: [POST], paths: ['/a/**']}]")]
    [InlineData("ips: [10.0.0.0/7]")]
    [InlineData("ips: [11.0.0.0/8]")]
    [InlineData("mode: learn")]
    [InlineData("allow_private: true")]
    public void A_workspace_may_not_widen_it(string wish)
    {
        Policy(Allowlist);
        var choice = Choose($"allowlist:\n  {wish}\n");
        Assert.Single(choice.Refused);
        Assert.Contains(Written(choice).Allowlist.Domains, rule => rule.Host.Text == "other.example");
    }

    [Fact]
    public void An_operators_file_that_cannot_be_read_allows_nothing()
    {
        Policy("allowlist:\n  enabled: maybe\n");
        var choice = Choose("cache:\n  enabled: false\n");
        Assert.True(Written(choice).Allowlist.Enabled);
        Assert.Empty(Written(choice).Allowlist.Domains);
        Assert.Contains("maybe", Assert.Single(choice.Refused), StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_operators_secrets_are_in_is_told_and_no_workspace_may_use_it()
    {
        Policy("headers: {h.example: {set: {Authorization: \"env:TOKEN\"}}}\nsocks: {users: {u: \"env:PASSWORD\"}}\n");
        Assert.Equal(["PASSWORD", "TOKEN"], Choose(null).SecretVariables.Order());
        Assert.Equal(["PASSWORD", "TOKEN"], Choose("cache: {enabled: false}").SecretVariables.Order());

        var choice = Choose("proxy: {upstream: \"env:TOKEN\"}");
        Assert.Equal("proxy.upstream: env:TOKEN is a secret of the operator's policy", Assert.Single(choice.Refused));
        Assert.Equal(["PASSWORD", "TOKEN"], choice.SecretVariables.Order());
    }

    [Fact]
    public void What_only_a_workspace_names_is_no_secret_of_the_operators() =>
        Assert.Empty(Choose("headers: {h.example: {set: {Authorization: \"env:TOKEN\"}}}").SecretVariables);

    private const string Allowlist = """
        allowlist:
          enabled: true
          domains: [good.example, other.example, "*.below.example", "b.*", {host: paths.example, methods: [GET], paths: ["/a/**"]}]
          ips: [10.0.0.0/8]
        """;

    private ContainerConfig Choose(string? workspace) => ContainerConfig.Choose(workspace, _policy + (_hasPolicy ? "" : "-none"), NoVariables);

    private bool _hasPolicy;

    private void Policy(string text)
    {
        File.WriteAllText(_policy, text);
        _hasPolicy = true;
    }

    // As the proxy will read it.
    private static ProxySettings Written(ContainerConfig choice)
        => SettingsSources.Of(null, NoVariables).Load(ConfigDocument.Parse(choice.Text, "written")).Value!;
}
