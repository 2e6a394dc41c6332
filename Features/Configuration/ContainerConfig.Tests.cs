using Discobot.Features.Egress;
using Discobot.Features.Egress.Dns;
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
    [InlineData("logging:\n  file: /.data/proxy/no/such/directory/z.log\n")]
    [InlineData("egress:\n  dns_port: 17081\n")]
    [InlineData("proxy:\n  api_port: 17080\n")]
    [InlineData("proxy:\n  api_port: 17053\n")]
    [InlineData("audit:\n  enabled: false\n")]
    [InlineData("ask:\n  webhook: https://evil.example/\n  webhook_secret: 0123456789abcdef01234567\n")]
    [InlineData("audit:\n  file: /etc/cron.d/x\n")]
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
    [InlineData(null, null, "redirect")]
    [InlineData(null, "egress: {mode: open}", "redirect", 1)]
    [InlineData(null, "egress: {mode: auto}", "redirect")]
    [InlineData(null, "egress: {mode: enforce}", "enforce")]
    [InlineData(null, "allowlist: {enabled: true}", "enforce")]
    [InlineData(null, "allowlist: {enabled: true, mode: learn}", "redirect")]
    [InlineData(null, "{allowlist: {enabled: true}, egress: {mode: redirect}}", "redirect")]
    [InlineData("allowlist: {enabled: true}", null, "enforce")]
    [InlineData("allowlist: {enabled: true}", "allowlist: {enabled: false}", "enforce")]
    [InlineData("allowlist: {enabled: true}", "egress: {mode: redirect}", "enforce", 1)]
    [InlineData("{allowlist: {enabled: true}, egress: {mode: redirect}}", "egress: {mode: enforce}", "enforce")]
    [InlineData("egress: {mode: open}", "allowlist: {enabled: true}", "open")]
    [InlineData("egress: {mode: redirect}", "egress: {mode: open}", "redirect", 1)]
    [InlineData("egress: {mode: open}", "egress: {mode: redirect}", "redirect")]
    [InlineData("egress: {mode: enforce}", "egress: {mode: redirect}", "enforce", 1)]
    [InlineData("egress: {mode: redirect}", "egress: {mode: enforce}", "enforce")]
    public void A_workspace_may_only_tighten_what_is_let_out(string? policy, string? workspace, string expected, int refused = 0)
    {
        if (policy is not null)
            Policy(policy);
        var choice = Choose(workspace);
        Assert.Equal((expected, refused), (EgressOptions.Word(choice.Settings.ContainerEgress), choice.Refused.Count));
    }

    [Theory]
    [InlineData("open", "egress: {mode: redirect}", "redirect")]
    [InlineData("redirect", "egress: {mode: enforce}", "enforce")]
    [InlineData("enforce", "egress: {mode: open}", "enforce", 1)]
    public void The_word_of_the_environment_is_the_operators(string variable, string workspace, string expected, int refused = 0)
    {
        var choice = ContainerConfig.Choose(workspace, "/none", new Dictionary<string, string> { ["DISCOBOT_EGRESS"] = variable });
        Assert.Equal((expected, refused), (EgressOptions.Word(choice.Settings.ContainerEgress), choice.Refused.Count));
    }

    [Theory]
    [InlineData("docker: {guard: off}", "docker: {guard: on}", true)]
    [InlineData("docker: {guard: off}", "docker: {guard: auto}", false)]
    [InlineData("docker: {guard: off}", "cache: {enabled: false}", false)]
    [InlineData("docker: {guard: on}", "docker: {guard: auto}", true)]
    [InlineData("cache: {enabled: false}", "docker: {guard: on}", true)]
    public void A_workspace_may_have_Dockers_socket_guarded_whatever_the_policy_says(string policy, string workspace, bool expected)
    {
        Policy(policy);
        var choice = Choose(workspace);
        Assert.Equal((expected, 0), (choice.Settings.Docker.Guard, choice.Refused.Count));
    }

    [Theory]
    [InlineData("egress: {trust_agent: true, no_new_privs: false}", "egress: {trust_agent: false}", false, false)]
    [InlineData("egress: {trust_agent: true, no_new_privs: false}", "egress: {no_new_privs: true}", true, true)]
    [InlineData("egress: {trust_agent: true, no_new_privs: false}", "cache: {enabled: false}", true, false)]
    public void A_workspace_may_trust_its_agent_less_than_the_policy_does(string policy, string workspace, bool trusts, bool confines)
    {
        Policy(policy);
        var choice = Choose(workspace);
        Assert.Equal((trusts, confines, 0), (choice.Settings.Egress.TrustAgent, choice.Settings.Egress.NoNewPrivileges, choice.Refused.Count));
    }

    [Theory]
    [InlineData(null, "[TXT]", "", 1)]
    [InlineData("cache: {enabled: false}", "[TXT]", "", 1)]
    [InlineData("dns: {types: [MX, TXT]}", "[txt, SRV]", "MX TXT", 1)]
    [InlineData("dns: {types: [MX, TXT]}", "[txt]", "TXT")]
    [InlineData("dns: {types: [MX, TXT]}", "[]", "")]
    [InlineData("dns: {types: [MX, TXT]}", null, "MX TXT")]
    public void A_workspace_may_have_fewer_types_of_records_than_the_policy_names_and_no_other(string? policy, string? workspace, string expected, int refused = 0)
    {
        if (policy is not null)
            Policy(policy);
        var choice = Choose(workspace is null ? "cache: {enabled: false}" : $"dns: {{types: {workspace}}}");
        Assert.Equal((expected, refused), (string.Join(' ', choice.Settings.Dns.Types.Select(DnsTypes.Name)), choice.Refused.Count));
        Assert.Equal(choice.Settings.Dns.Types.AsEnumerable(), Written(choice).Dns.Types);
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

    /// <summary>With and without a policy.</summary>
    [Theory]
    [InlineData("DISCOBOT_PLACEHOLDERS")]
    [InlineData("DISCOBOT_START_TOKEN")]
    [InlineData("OTEL_EXPORTER_OTLP_HEADERS")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_HEADERS")]
    public void What_the_proxy_alone_is_told_no_workspace_may_send_away(string variable)
    {
        var text = $"headers: {{h.example: {{set: {{X: \"env:{variable}\"}}}}}}\n";
        Assert.EndsWith($": env:{variable} is the proxy's own, which no workspace may use", Assert.Single(Choose(text).Refused), StringComparison.Ordinal);
        Policy("cache: {enabled: true}");
        Assert.EndsWith($": env:{variable} is the proxy's own, which no workspace may use", Assert.Single(Choose(text).Refused), StringComparison.Ordinal);
    }

    [Fact]
    public void Limits_are_the_policys_to_set()
        => Assert.Equal("limits: are the operator's to set, in the policy", Assert.Single(Choose("limits: {h.example: {requests_per_second: 9}}").Refused));

    [Fact]
    public void Clients_are_the_policys_to_name()
        => Assert.Equal("clients: are the operator's to name, in the policy", Assert.Single(Choose("clients: {ann: \"env:HASH\"}").Refused));

    [Fact]
    public void A_store_beyond_the_machine_is_the_policys_to_name_and_the_variables_of_its_credentials_are_not_the_agents()
    {
        const string Remote = "cache: {remote: {s3: {endpoint: \"https://s3.example\", bucket: b}}}\n";
        Assert.Equal("cache.remote: where bodies are read from and sent to, past what may leave, is the operator's to say, in the policy", Assert.Single(Choose(Remote).Refused));
        Policy(Remote);
        foreach (var variable in (string[])["AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"])
            Assert.Contains(variable, Choose(null).SecretVariables);
        Assert.NotNull(Choose(null).Settings.Cache.Remote.S3);
    }

    [Fact]
    public void A_workspace_shares_nothing_with_other_containers()
        => Assert.Equal("cache.shared: what is shared with other containers is the operator's to say, in the policy", Assert.Single(Choose("cache: {shared: /.data/shared}").Refused));

    [Fact]
    public void Secrets_are_the_policys_to_define_and_their_variables_are_told()
    {
        const string Secrets = "secrets: {github: {value: \"env:TOKEN\", hosts: [h.example], env: GITHUB_TOKEN}}\n";
        Assert.Equal("secrets: are the operator's to define, in the policy", Assert.Single(Choose(Secrets).Refused));
        Policy(Secrets);
        Assert.Equal("secrets: are the operator's to define, in the policy", Assert.Single(Choose("secrets: {mine: {value: \"env:OTHER\", hosts: [evil.example]}}").Refused));
        var choice = Choose("cache: {enabled: false}");
        Assert.Equal(["TOKEN"], choice.SecretVariables);
        Assert.False(Written(choice).Credentials.IsEmpty);
    }

    [Fact]
    public void What_only_a_workspace_names_is_no_secret_of_the_operators() =>
        Assert.Empty(Choose("headers: {h.example: {set: {Authorization: \"env:TOKEN\"}}}").SecretVariables);

    [Theory]
    [InlineData("proxy: {upstream: \"http://elsewhere.example:3128\"}", "proxy.upstream")]
    [InlineData("proxy: {upstream: \"socks5://10.0.0.1:1080\"}", "proxy.upstream")]
    [InlineData("proxy: {upstream: \"env:THEIRS\"}", "proxy.upstream")]
    [InlineData("proxy: {upstream: direct}", "proxy.upstream")]
    [InlineData("tls: {insecure_hosts: [good.example]}", "tls.insecure_hosts")]
    [InlineData("tls: {extra_ca: [/.data/proxy/theirs.pem]}", "tls.extra_ca")]
    public void No_workspace_leads_past_what_the_operator_lets_out(string workspace, string key)
    {
        // Where nothing is limited, it is a workspace's to say.
        Assert.Empty(Choose(workspace).Refused);
        foreach (var word in (string[])["redirect", "enforce"])
            AssertRefused(ContainerConfig.Choose(workspace, "/none", new Dictionary<string, string> { ["DISCOBOT_EGRESS"] = word }));
        foreach (var policy in (string[])[Allowlist, "egress: {mode: enforce}", "cache: {max_size: 1GiB}"])
        {
            Policy(policy);
            AssertRefused(Choose(workspace));
        }

        void AssertRefused(ContainerConfig choice)
        {
            Assert.StartsWith($"{key}: ", Assert.Single(choice.Refused), StringComparison.Ordinal);
            var written = Written(choice);
            Assert.True(written.Proxy.UpstreamFromEnvironment && written.Tls.InsecureHosts.IsEmpty && written.Tls.ExtraCa.IsEmpty);
        }
    }

    [Fact]
    public void What_the_operator_says_of_the_way_out_counts_and_a_workspace_may_say_the_same()
    {
        const string Way = "proxy: {upstream: \"http://gate:3128\"}\ntls: {insecure_hosts: [b.example, a.example], extra_ca: [/.data/proxy/a.pem]}\n";
        Policy(Way);
        foreach (var workspace in (string?[])[null, "cache: {enabled: false}", Way, "proxy: {upstream: direct}\ntls: {insecure_hosts: [c.example], extra_ca: [/.data/proxy/c.pem]}\n"])
        {
            var choice = Choose(workspace);
            Assert.Empty(choice.Refused);
            var written = Written(choice);
            Assert.Equal("gate", written.Proxy.Upstream!.Target.Host);
            Assert.Equal(["a.example", "b.example"], written.Tls.InsecureHosts.Select(h => h.Text).Order());
            Assert.Equal("/.data/proxy/a.pem", Assert.Single(written.Tls.ExtraCa));
        }
    }

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
