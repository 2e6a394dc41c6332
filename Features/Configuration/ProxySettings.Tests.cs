using System.Net;
using CsCheck;
using Discobot.Features.Allowlist;
using Discobot.Features.Api;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Logging;
using Microsoft.Extensions.Logging;
using Snapshooter.Xunit;

namespace Discobot.Features.Configuration;

public sealed class ProxySettingsTests
{
    private static readonly Dictionary<string, string> None = [];

    private static ConfigResult<ProxySettings> Load(
        string yaml, Dictionary<string, string>? environment = null, Dictionary<string, string>? options = null) =>
        new SettingsSources(null, environment ?? None, options ?? None, "/data").Load(ConfigDocument.Parse(yaml, "config.yaml"));

    private static ProxySettings Valid(string yaml)
    {
        var result = Load(yaml);
        Assert.Equal("", result.ErrorText());
        return result.Value!;
    }

    [Fact]
    public void A_workspace_file_for_team_use_loads()
    {
        var settings = Valid(
            """
            # .discobot/proxy/config.yaml
            proxy:
              port: 17080
              api_port: 17081

            tls:
              cert_dir: /.data/proxy/certs

            cache:
              enabled: true
              dir: /.data/proxy/cache
              max_size: 53687091200  # 50GB (increase for team usage)
              patterns:
                - "^/v2/.*/blobs/sha256:.*"                           # Docker blob layers
                - "^/v2/.*/manifests/sha256:.*"                       # Docker manifests by digest
                - "^/registry-v2/docker/registry/v2/blobs/sha256/"    # Local registry storage

            logging:
              level: info
              format: text
            """);
        Assert.Equal((17080, 17081, "/.data/proxy/certs"), (settings.Proxy.Port, settings.Api.Port, settings.Tls.CertDir));
        Assert.Equal((true, "/.data/proxy/cache", 53687091200), (settings.Cache.Enabled, settings.Cache.Dir, settings.Cache.MaxSize));
        Assert.Equal(3, settings.Cache.Patterns.Length);
        Assert.Matches(settings.Cache.Patterns[0], "/v2/library/ubuntu/blobs/sha256:abc");
        Assert.Equal((LogLevel.Information, LogFormat.Text), (settings.Logging.Level, settings.Logging.Format));
    }

    [Fact]
    public void An_advanced_file_with_headers_and_an_allowlist_loads()
    {
        var settings = Valid(
            """
            proxy:
              port: 17080
              api_port: 17081

            cache:
              enabled: true
              dir: /.data/proxy/cache
              max_size: 21474836480

            headers:
              "registry.example.com":
                set:
                  "Authorization": "Bearer YOUR_TOKEN"

            allowlist:
              enabled: false  # Set to true to restrict domains
              domains: []
            """);
        Assert.Equal(20L << 30, settings.Cache.MaxSize);
        Assert.Equal(3, settings.Cache.Patterns.Length);
        var rule = Assert.Single(settings.Headers.Rules);
        Assert.Equal("registry.example.com", rule.Host.Text);
        var header = Assert.Single(rule.Set);
        Assert.Equal("Authorization", header.Name);
        Assert.True(header.Value.TryResolve(out var value));
        Assert.Equal("Bearer YOUR_TOKEN", value);
        Assert.False(settings.Allowlist.Enabled);
    }

    [Fact]
    public void A_file_with_the_former_include_body_still_loads()
    {
        Assert.True(Valid("logging: {include_body: true}").Logging.NamesIncludeBody);
        Assert.False(Valid("logging: {level: info}").Logging.NamesIncludeBody);
    }

    [Fact]
    public void The_built_in_text_is_what_holds_without_a_file()
    {
        var sources = new SettingsSources(null, None, None, "/.data/proxy");
        var text = sources.Load(ConfigDocument.Parse(DefaultConfiguration.Text(), "default.yaml"));
        Assert.Equal("", text.ErrorText());
        Assert.Equal(SettingsJson.ToText(ProxySettings.Default("/.data/proxy")), SettingsJson.ToText(text.Value!));
        Assert.Equal(20L << 30, text.Value!.Cache.MaxSize);
    }

    [Fact]
    public void Every_key_is_read_and_shown_with_its_secrets_masked()
    {
        var settings = Valid(EveryKey);
        Assert.Equal(TimeSpan.FromSeconds(90), settings.Proxy.ReadTimeout);
        Assert.Equal("proxy.corp", settings.Proxy.Upstream?.Target.Host);
        Assert.Equal([IPAddress.Any], settings.Proxy.Listen.ToArray());
        Assert.Equal(AllowlistMode.Learn, settings.Allowlist.Mode);
        Assert.Equal(ApiProtection.All, settings.Api.Protect);
        Assert.Equal(["GET", "HEAD"], settings.Allowlist.Domains[0].Methods.ToArray());
        var shown = SettingsJson.ToText(settings);
        Assert.DoesNotContain("s3cret", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", settings.ToString(), StringComparison.Ordinal);
        shown.MatchSnapshot();
    }

    [Fact]
    public void Settings_shown_as_a_file_read_back_as_the_same_settings()
    {
        var settings = Valid(EveryKey.Replace("s3cret@", "", StringComparison.Ordinal).Replace("user:", "", StringComparison.Ordinal));
        Assert.Equal(SettingsJson.ToText(settings), SettingsJson.ToText(Valid(SettingsYaml.ToText(settings))));
        var plain = ProxySettings.Default("/data");
        Assert.Equal(SettingsJson.ToText(plain), SettingsJson.ToText(Valid(SettingsYaml.ToText(plain))));
    }

    [Fact]
    public void The_cache_and_the_certificates_keep_apart() => Assert.Equal(
        "config.yaml:1:14: cache.dir: must not hold or lie in tls.cert_dir, /data/certs: clearing the cache would remove the CA",
        Load("cache: {dir: /data}").ErrorText());

    [Fact]
    public void What_is_shared_with_others_and_what_is_the_containers_own_keep_apart() => Assert.Equal(
        "config.yaml:1:35: cache.shared: must not hold or lie in cache.dir, /data/cache: that is this container's own",
        Load("cache: {dir: /data/cache, shared: /data/cache/shared}").ErrorText());

    [Theory]
    [InlineData("Bearer env:TOKEN", "env:")]
    [InlineData("Bearer file:/run/secrets/token", "file:")]
    [InlineData("ENV:TOKEN", "ENV:")]
    [InlineData(" env:TOKEN", "env:")]
    [InlineData("Bearer ${TOKEN}", "${")]
    [InlineData("Bearer $TOKEN", "$")]
    [InlineData("$(cat /run/secrets/token)", "$(")]
    [InlineData("{{ token }}", "{{")]
    public void A_value_that_looks_like_a_reference_and_is_none_is_a_mistake(string value, string shown) => Assert.Equal(
        $"config.yaml:1:28: headers.\"a.com\".set.X: is taken as it is written, \"{shown}\" and all; to keep it elsewhere, the whole value must be env:NAME or file:/path",
        Load($"headers: {{a.com: {{set: {{X: '{value}'}}}}}}").ErrorText());

    [Theory]
    [InlineData("Bearer YOUR_TOKEN")]
    [InlineData("Basic dXNlcjokMnkkMTA=")]
    [InlineData("$2y$10$abcdefg")]
    [InlineData("pa$$word $5")]
    [InlineData("the environment: production")]
    public void Other_values_are_values(string value) => Valid($"headers: {{a.com: {{set: {{X: '{value}'}}}}}}");

    [Theory]
    [InlineData("ips: [10.0.0.1/8]", "1:19: allowlist.ips[0]: \"10.0.0.1/8\" has bits beyond its prefix; write 10.0.0.0/8 for the range, or the address alone for one address")]
    [InlineData("ips: '2001:db8::1/32'", "1:18: allowlist.ips: \"2001:db8::1/32\" has bits beyond its prefix; write 2001:db8::/32 for the range, or the address alone for one address")]
    [InlineData("ips: 192.168.1.1/0", "1:18: allowlist.ips: \"192.168.1.1/0\" has bits beyond its prefix; write 0.0.0.0/0 for the range, or the address alone for one address")]
    [InlineData("domains: a.com:443", "1:22: allowlist.domains: is no host alone; write {host: \"a.com\", ports: [443]}, not \"a.com:443\"")]
    [InlineData("domains: ['https://*.a.com/x/**']",
        "1:23: allowlist.domains[0]: is no host alone; write {host: \"*.a.com\", paths: [\"/x/**\"]}, not \"https://*.a.com/x/**\"")]
    [InlineData("deny: ['http://a.com/']", "1:20: allowlist.deny[0]: is no host alone; write \"a.com\", not \"http://a.com/\"")]
    [InlineData("domains: 'a.com:99999'", "1:22: allowlist.domains: must be a host: \"*\", \"example.com\", \"*.example.com\" or \"api.*\", not \"a.com:99999\"")]
    [InlineData("domains: 'http://a.com/../x'", "1:22: allowlist.domains: must be a host: \"*\", \"example.com\", \"*.example.com\" or \"api.*\", not \"http://a.com/../x\"")]
    [InlineData("domains: \"a.com/\\x01\"", "1:22: allowlist.domains: must be a host: \"*\", \"example.com\", \"*.example.com\" or \"api.*\", not \"a.com/?\"")]
    [InlineData("domains: '10.0.0.1:80'", "1:22: allowlist.domains: must be a host: \"*\", \"example.com\", \"*.example.com\" or \"api.*\", not \"10.0.0.1:80\"")]
    [InlineData("domains: '**'", "1:22: allowlist.domains: must be a host: \"*\", \"example.com\", \"*.example.com\" or \"api.*\", not \"**\"")]
    [InlineData("domains: [{host: a.com, methods: [GTE]}]", "1:47: allowlist.domains[0].methods[0]: no method has the name \"GTE\"; did you mean \"GET\"?")]
    [InlineData("domains: [{host: a.com, methods: dlete}]", "1:46: allowlist.domains[0].methods: no method has the name \"dlete\"; did you mean \"DELETE\"?")]
    [InlineData("domains: [{host: a.com, methods: [ANY]}]", "1:47: allowlist.domains[0].methods[0]: no method has the name \"ANY\"; leave methods out to allow all")]
    public void A_slip_in_the_allowlist_that_would_mean_something_else_is_a_mistake(string entry, string error) =>
        Assert.Equal($"config.yaml:{error}", Load($"allowlist: {{{entry}}}").ErrorText());

    [Theory]
    [InlineData("127.0.0.1:80", " without a port, which has a key of its own")]
    [InlineData("127.1", "")]
    [InlineData("'8080'", "")]
    public void An_address_to_listen_on_is_told_to_have_a_port_only_where_it_has_one(string address, string why) =>
        Assert.Equal(
            $"config.yaml:1:17: proxy.listen: must be an IP address{why}, as in 127.0.0.1 or ::1, not \"{address.Trim('\'')}\"",
            Load($"proxy: {{listen: {address}}}").ErrorText());

    [Fact]
    public void A_single_value_is_a_list_of_one()
    {
        var settings = Valid("tls: {passthrough: a.com, extra_ca: /x.pem}\nallowlist: {domains: b.com, ips: 10.0.0.0/8}\ncache: {patterns: ^/x}\nproxy: {listen: 127.0.0.1}");
        Assert.Equal("a.com", Assert.Single(settings.Tls.Passthrough).Text);
        Assert.Equal("/x.pem", Assert.Single(settings.Tls.ExtraCa));
        Assert.Equal("\"b.com\"", Assert.Single(settings.Allowlist.Domains).ToString());
        Assert.Equal("10.0.0.0/8", Assert.Single(settings.Allowlist.Ips).Text);
        Assert.Equal("^/x", Assert.Single(settings.Cache.Patterns).ToString());
        Assert.Single(settings.Proxy.Listen);
        Assert.Equal((string[])["PURGE", "FOO"], Valid("allowlist: {domains: [{host: a, methods: [purge, foo]}]}").Allowlist.Domains[0].Methods);
    }

    [Fact]
    public void More_expressions_than_anyone_needs_are_refused_unbuilt() => Assert.Equal(
        "config.yaml:1:19: cache.patterns: must not be more than 64 expressions; join some with |",
        Load($"cache: {{patterns: [{string.Join(", ", Enumerable.Repeat("a", 65))}]}}").ErrorText());

    [Fact]
    public void A_file_full_of_mistakes_tells_all_of_them() => Load(ManyMistakes).ErrorText().MatchSnapshot();

    [Fact]
    public void The_command_line_wins_over_the_environment_and_the_environment_over_the_file()
    {
        Dictionary<string, string> environment = new()
        {
            ["PROXY_PORT"] = "2000",
            ["API_PORT"] = "3000",
            ["CERT_DIR"] = "/env",
            ["LOG_LEVEL"] = "warn",
            ["LOG_FORMAT"] = "",
            ["LOG_FILE"] = "/env.log",
        };
        Dictionary<string, string> options = new() { ["--port"] = "4000", ["--log-level"] = "debug" };
        var settings = Load("proxy: {port: 1000}\nlogging: {format: json, file: /file.log}", environment, options).Value!;
        Assert.Equal((4000, 3000, "/env"), (settings.Proxy.Port, settings.Api.Port, settings.Tls.CertDir));
        Assert.Equal((LogLevel.Debug, LogFormat.Json, "/env.log"), (settings.Logging.Level, settings.Logging.Format, settings.Logging.File));
    }

    [Fact]
    public void A_bad_variable_is_named_beside_the_mistakes_of_the_file()
    {
        Dictionary<string, string> environment = new() { ["PROXY_PORT"] = "http", ["LOG_LEVEL"] = "loud" };
        var errors = Load("cache: {enabled: si}", environment, new() { ["--api-port"] = "0" }).ErrorText();
        Assert.Equal(
            """
            environment: PROXY_PORT: must be a whole number from 1 to 65535, not "http"
            command line: --api-port: must be a whole number from 1 to 65535, not "0"
            environment: LOG_LEVEL: must be debug, info, warn or error, not "loud"
            config.yaml:1:18: cache.enabled: must be true or false, not "si"
            """,
            errors);
    }

    [Fact]
    public void CONFIG_FILE_names_the_file_unless_the_command_line_does()
    {
        Dictionary<string, string> environment = new() { ["CONFIG_FILE"] = "/from/environment.yaml" };
        Assert.Equal("/from/environment.yaml", SettingsSources.Of(null, environment).File);
        Assert.Equal("/from/arguments.yaml", SettingsSources.Of("/from/arguments.yaml", environment).File);
        Assert.Equal("/from/environment.yaml: does not exist", SettingsSources.Of(null, environment).Load().ErrorText());
    }

    [Fact]
    public void Equal_ports_are_refused_wherever_they_come_from()
    {
        Assert.Equal(
            "config.yaml:1:19: proxy.api_port: must differ from proxy.port; both are 17080", Load("proxy: {api_port: 17080}").ErrorText());
        Assert.Contains("both are 17081", Load("proxy: {}", new() { ["PROXY_PORT"] = "17081" }).ErrorText(), StringComparison.Ordinal);
    }

    [Fact]
    public void No_tree_of_known_keys_makes_it_throw()
    {
        var words = Gen.OneOf(new[]
        {
            "proxy", "port", "api_port", "listen", "upstream", "tls", "extra_ca", "cache", "patterns", "max_size", "headers", "set",
            "append", "conditions", "header", "equals", "allowlist", "domains", "host", "methods", "paths", "ips", "logging", "level",
            "socks", "users", "api", "protect", "*", "*.a.b", "10.0.0.0/8", "env:X", "file:/x", "http://u:p@h:1", "http://[", "(",
            "20GB", "1h", "0", "-1", "~", "true", "''", "\\uD800", "/x",
        }.Select(Gen.Const).ToArray());
        var leaf = words.Select(w => $"\"{w}\"");
        var tree = Gen.Recursive<string>((depth, self) => depth > 3 ? leaf : Gen.Frequency(
            (3, leaf),
            (2, self.Array[0, 3].Select(items => $"[{string.Join(", ", items)}]")),
            (5, Gen.Select(words, self, (key, value) => $"\"{key}\": {value}").Array[0, 4].Select(e => $"{{{string.Join(", ", e)}}}"))));
        tree.Sample(yaml => Load(yaml).IsValid || Load(yaml).Errors.Length > 0, iter: 300);
    }

    internal const string EveryKey =
        """
        proxy:
          port: 8080
          api_port: 8081
          listen: [0.0.0.0]
          read_timeout: 1m30s
          write_timeout: 0
          upstream_timeout: 5m
          stream_idle_timeout: 1h
          max_connections: 100
          upstream: http://user:s3cret@proxy.corp:3128
          drain_limit: 2s
        tls:
          cert_dir: /certs
          extra_ca: [/etc/corp.pem]
          insecure_hosts: [old.example.com]
          passthrough: ["*.pinned.example.com"]
        cache:
          enabled: false
          dir: /cache
          max_size: 0
          patterns: ["^/a+/<b>"]
          content_aware: false
          fill_after_abort: 1MiB
          stale_tags: true
          rules:
            - {host: "*.example.com", pattern: "^/pool/", mode: immutable, max_age: 1h, ignore_query: [sig]}
            - {pattern: "^/blob/", mode: digest}
          packages: [npm, go]
          warm: ["alpine:3", /work/go.sum]
          offline: fail
          remote:
            s3: {endpoint: "https://s3.example.com/", bucket: bodies, prefix: /team/a, region: eu-central-1}
            spool: 1GiB
        packages:
          min_age: 3d
          before: 2026-01-01
          min_age_exclude: ["@ours/*"]
        secrets:
          github:
            value: env:TOKEN
            hosts: [api.github.com, "*.example.com"]
            in: [header, query]
            env: GITHUB_TOKEN
            allow_plaintext: true
            redact: false
            clients: [build-1, agent]
        clients:
          build-1: file:/run/secrets/build-1
          build-2: env:HASH
        limits:
          "*.example.com": {requests_per_second: 10, bytes_per_day: 1GiB, upload_size: 0}
        headers:
          "*.example.com":
            set: {Authorization: "Bearer s3cret", X-Token: "env:TOKEN"}
            append: {X-Forwarded-Team: "file:/run/secrets/team"}
            conditions:
              - {header: X-Team, equals: s3cret}
            allow_plaintext: true
        allowlist:
          enabled: true
          mode: learn
          allow_private: true
          domains:
            - {host: "*.github.com", methods: [get, HEAD], paths: ["/api/**"]}
            - {host: "build.example", query: {mode: [list, "get*"], page: "*"}, clients: [build-1, unnamed]}
            - example.com
            - api.*
          presets: [pypi]
          ips: [10.0.0.0/8, "::1"]
          deny: [{host: evil.example, methods: [post]}]
        ask:
          webhook: https://bot.example/hook
          webhook_secret: env:HOOK_KEY
        logging:
          level: debug
          format: json
          file: /var/log/discobot.log
          max_size: 10MiB
          keep: 3
          time: true
        api:
          listen: ["127.0.0.1"]
          hosts: [Sandbox.test]
          token_file: /token
          protect: all
          ui: false
        audit:
          enabled: false
          file: /audit/of/its/own.jsonl
          max_size: 1MiB
          keep: 2
        socks:
          users: {agent: s3cret}
          inspect: true
          udp: true
        egress:
          mode: enforce
          port: 17182
          dns_port: 17153
          trust_agent: true
          no_new_privs: false
          probe: [203.0.113.9]
        dns:
          types: [mx, SRV, TYPE65280]
        gateway:
          listen: [172.28.0.0/16, fd00::1]
          ports: [80, 443, 5432]
          dns_port: 5353
          addresses: [172.28.0.2]
          routed: true
        docker:
          guard: on
        init:
          extra_env: false
          nested_docker: false
        """;

    private const string ManyMistakes =
        """
        proxy:
          prot: 17080
          api_port: 99999
          listen: [localhost]
          read_timeout: soon
          upstream: https://user:s3cret@host
        tls:
          cert_dir: ""
          insecure_hosts: ["https://example.com/"]
        cache:
          enabled: perhaps
          max_size: 0
          patterns:
            - "("
            - "(a)\\1"
        headers:
          "exa mple.com":
            set: {X-A: b}
          "a.example.com":
            set: {Host: b, "X A": c, X-B: "line\nbreak"}
            append: {X-C: "env:not a name"}
            conditions: [{header: X-Team}, {heade: X-Team, equals: b}]
          "b.example.com": {}
          "A.Example.com.":
            set: {X-A: b}
        allowlist:
          mode: learning
          domains: ["*.*.com", {hots: example.com}, {host: example.com, methods: [], paths: [api]}]
          ips: [10.0.0.0/33, example.com]
        dns:
          types: [MX, MXX, ANY, 16, OPT, "A,MX", TYPE250, TYPE99999]
        logging:
          level: warning
          format: xml
        api:
          protect: most
        socks:
          users: {agent: , "": "x"}
        chache: {}
        """;
}
