namespace Discobot.Features.Init.Variables;

public sealed class ProxyEnvironmentTests : IDisposable
{
    private static readonly string[] Nine =
    [
        "HTTP_PROXY=http://localhost:17080", "HTTPS_PROXY=http://localhost:17080", "ALL_PROXY=http://localhost:17080", "NO_PROXY=localhost,127.0.0.1,::1",
        "http_proxy=http://localhost:17080", "https_proxy=http://localhost:17080", "all_proxy=http://localhost:17080", "no_proxy=localhost,127.0.0.1,::1",
        "NODE_EXTRA_CA_CERTS=/.data/proxy/certs/ca.crt",
    ];

    private ContainerFixture _fixture = new();
    private ProxySummary _settings = new();
    private ClientTrust _trust = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void The_nine_are_exactly_these_and_more_clients_are_led_to_the_full_bundle()
    {
        _trust = new ClientTrust { Bundle = "/etc/bundle.pem" };
        var variables = Variables();
        Assert.Equal(Nine.Take(8), variables.Take(8));
        Assert.Equal(
            [
                "AWS_CA_BUNDLE=/etc/bundle.pem", "CARGO_HTTP_CAINFO=/etc/bundle.pem", "CURL_CA_BUNDLE=/etc/bundle.pem", "DENO_CERT=/etc/bundle.pem",
                "GIT_SSL_CAINFO=/etc/bundle.pem", Nine[8], "NODE_USE_ENV_PROXY=1", "PIP_CERT=/etc/bundle.pem", "REQUESTS_CA_BUNDLE=/etc/bundle.pem",
                "SSL_CERT_FILE=/etc/bundle.pem", "UV_NATIVE_TLS=true", "UV_SYSTEM_CERTS=true",
            ],
            variables.Skip(8).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void It_stays_at_the_nine_when_the_configuration_says_so()
    {
        _trust = new ClientTrust { Bundle = "/etc/bundle.pem" };
        _settings = new ProxySummary { Init = new InitOptions { ExtraEnvironment = false } };
        Assert.Equal(Nine, Variables());
    }

    [Fact]
    public void Where_the_systems_store_has_not_taken_the_authority_clients_are_told_of_the_bundle_whatever_the_configuration_says()
    {
        _trust = new ClientTrust { Bundle = "/var/lib/discobot/ca-bundle.crt", IsTheSystems = false };
        _settings = new ProxySummary { Init = new InitOptions { ExtraEnvironment = false } };
        Assert.Contains("SSL_CERT_FILE=/var/lib/discobot/ca-bundle.crt", Variables());
    }

    [Theory]
    [InlineData("ftp_proxy", "http://u:p@10.9.9.9:3128", "http://10.9.9.9:3128")]
    [InlineData("RSYNC_PROXY", "http://u:p%40@h/", "http://h/")]
    [InlineData("HTTPS_PROXY", "http://u:p@10.9.9.9:3128", "http://localhost:17080")]
    [InlineData("X_PROXY", "http://host/a@b", null)]
    [InlineData("KUBE_PROXY", "registry/kube-proxy@sha256:abc", null)]
    [InlineData("SSH_PROXY", "git@bastion", null)]
    public void No_password_of_an_outer_proxy_is_the_agents(string name, string value, string? seen)
    {
        Use((name, value));
        Assert.Equal(seen, Variables().Find(v => v.StartsWith(name + "=", StringComparison.Ordinal))?[(name.Length + 1)..]);
    }

    [Theory]
    [InlineData("SSL_CERT_FILE", "/b")]
    [InlineData("REQUESTS_CA_BUNDLE", "/b")]
    [InlineData("NIX_SSL_CERT_FILE", "/b")]
    [InlineData("NODE_EXTRA_CA_CERTS", "/a")]
    public void A_variable_of_the_users_own_leads_to_its_authorities_and_ours_whatever_the_configuration_says(string name, string file)
    {
        Use((name, "/corp.pem"));
        _trust = new ClientTrust { Bundle = "/b", Additional = "/a" };
        _settings = new ProxySummary { Init = new InitOptions { ExtraEnvironment = false } };
        Assert.Contains($"{name}={file}", Variables());
    }

    [Fact]
    public void Without_a_way_to_trust_it_nobody_is_led_to_the_proxy_unless_a_policy_rules()
    {
        Assert.DoesNotContain("HTTPS_PROXY", AgentEnvironment().Keys);
        _fixture.Write("etc/discobot/policy.yaml", "");
        Assert.Contains("HTTPS_PROXY", AgentEnvironment().Keys);
    }

    [Fact]
    public void The_users_own_exceptions_are_kept_once_each_and_its_proxy_is_replaced()
    {
        Use(("NO_PROXY", "corp.example, 10.0.0.0/8,localhost"), ("no_proxy", "other.example"), ("HTTPS_PROXY", "http://corp.example:3128"));
        _trust = new ClientTrust { Bundle = "/etc/bundle.pem" };
        var environment = AgentEnvironment();
        Assert.Equal("localhost,127.0.0.1,::1,corp.example,10.0.0.0/8,other.example", environment["NO_PROXY"]);
        Assert.Equal("http://localhost:17080", environment["HTTPS_PROXY"]);
    }

    [Fact]
    public void While_the_proxy_is_not_up_none_is_set_and_none_that_the_image_has_leads_to_it()
    {
        Use(("HTTP_PROXY", "http://localhost:17080"), ("https_proxy", "http://127.0.0.1:17080/"), ("ALL_PROXY", "http://corp.example:17080"));
        var environment = AgentEnvironment(serves: false);
        Assert.Equal(["ALL_PROXY"], environment.Keys.Where(k => k.EndsWith("_PROXY", StringComparison.OrdinalIgnoreCase)));
        Assert.DoesNotContain("NODE_EXTRA_CA_CERTS", environment.Keys);
    }

    [Fact]
    public void The_agent_has_a_home_and_names_of_its_own()
    {
        Use(("HOME", "/root"), ("USER", "root"), ("TOKEN", "kept"));
        var environment = AgentEnvironment(serves: false);
        Assert.Equal(
            (ContainerFixture.Agent.Home, "nobody", "nobody", "true", "kept"),
            (environment["HOME"], environment["USER"], environment["LOGNAME"], environment["DISCOBOT_HOOKS_ENABLED"], environment["TOKEN"]));
    }

    [Fact]
    public void Secrets_of_the_proxy_are_not_in_it()
    {
        Use(("TOKEN", "secret"), ("OTHER", "kept"));
        _settings = new ProxySummary { SecretVariables = ["TOKEN"] };
        Assert.DoesNotContain("TOKEN", AgentEnvironment(serves: false).Keys);
        Assert.Equal("kept", AgentEnvironment(serves: false)["OTHER"]);
    }

    [Fact]
    public void The_key_of_the_collector_of_telemetry_is_not_in_it()
    {
        Use(("OTEL_EXPORTER_OTLP_HEADERS", "key=secret"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "key=secret"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example"));
        Assert.Equal(["OTEL_EXPORTER_OTLP_ENDPOINT"], AgentEnvironment(serves: false).Keys.Where(name => name.StartsWith("OTEL", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_agent_has_placeholders_in_place_of_secrets()
    {
        Use(("GITHUB_TOKEN", "secret"));
        _settings = new ProxySummary { SecretVariables = ["GITHUB_TOKEN"], Placeholders = new Dictionary<string, string> { ["GITHUB_TOKEN"] = "dbot-1" } };
        Assert.Equal("dbot-1", AgentEnvironment(serves: false)["GITHUB_TOKEN"]);
    }

    private void Use(params (string Name, string Value)[] variables)
    {
        _fixture.Dispose();
        _fixture = new ContainerFixture(variables);
    }

    private Dictionary<string, string> AgentEnvironment(bool serves = true)
    {
        var proxy = new ClientProxy(_fixture.Container, _settings, _trust);
        if (serves)
            proxy.BeginServing();
        return proxy.AgentEnvironment();
    }

    private List<string> Variables() => [.. ProxyEnvironment.Variables(_settings, _trust, _fixture.Container.Environment).Select(v => $"{v.Key}={v.Value}")];
}
