namespace Discobot.Features.Configuration;

/// <summary>What is fixed when the proxy starts: sockets, directories, the shape of the log. All else is live.</summary>
internal static class RestartKeys
{
    internal static readonly (string Key, Func<ProxySettings, object?> Value)[] All =
    [
        ("proxy.port", s => s.Proxy.Port),
        ("proxy.api_port", s => s.Api.Port),
        ("proxy.listen", s => string.Join(' ', s.Proxy.Listen)),
        ("proxy.read_timeout", s => s.Proxy.ReadTimeout),
        ("proxy.write_timeout", s => s.Proxy.WriteTimeout),
        ("proxy.upstream_timeout", s => s.Proxy.UpstreamTimeout),
        ("proxy.stream_idle_timeout", s => s.Proxy.StreamIdleTimeout),
        ("proxy.max_connections", s => s.Proxy.MaxConnections),
        ("proxy.upstream", s => (s.Proxy.Upstream, s.Proxy.UpstreamSecret, s.Proxy.UpstreamFromEnvironment)),
        ("proxy.drain_limit", s => s.Proxy.DrainLimit),
        ("tls.cert_dir", s => s.Tls.CertDir),
        ("tls.extra_ca", s => string.Join('\n', s.Tls.ExtraCa)),
        ("tls.insecure_hosts", s => string.Join(' ', s.Tls.InsecureHosts.Select(p => p.Text))),
        ("cache.enabled", s => s.Cache.Enabled),
        ("cache.dir", s => s.Cache.Dir),
        ("cache.shared", s => s.Cache.Shared),
        ("cache.warm", s => string.Join('\n', s.Cache.Warm)),
        ("cache.remote", s => s.Cache.Remote),
        ("ask.webhook", s => s.Ask.Webhook),
        ("ask.webhook_secret", s => s.Ask.WebhookSecret),
        ("logging.format", s => s.Logging.Format),
        ("logging.file", s => s.Logging.File),
        ("logging.max_size", s => s.Logging.MaxSize),
        ("logging.keep", s => s.Logging.Keep),
        ("logging.time", s => s.Logging.Time),
        ("api.listen", s => string.Join(' ', s.Api.Listen)),
        ("api.hosts", s => string.Join(' ', s.Api.Hosts)),
        ("api.token_file", s => s.Api.TokenFile),
        ("api.protect", s => s.Api.ProtectWord()),
        ("api.ui", s => s.Api.Ui),
        ("audit.enabled", s => s.Audit.Enabled),
        ("audit.file", s => s.Audit.File),
        ("audit.max_size", s => s.Audit.MaxSize),
        ("audit.keep", s => s.Audit.Keep),
        ("clients", s => s.Clients.Identity()),
        ("socks.users", s => s.Socks.UsersIdentity()),
        ("socks.inspect", s => s.Socks.Inspect),
        ("socks.udp", s => s.Socks.Udp),
        ("secrets", s => s.Credentials.Identity()),
        ("egress.mode", s => s.Egress.Mode),
        ("egress.port", s => s.Egress.Port),
        ("egress.dns_port", s => s.Egress.DnsPort),
        ("egress.trust_agent", s => s.Egress.TrustAgent),
        ("egress.no_new_privs", s => s.Egress.NoNewPrivileges),
        ("egress.probe", s => string.Join(' ', s.Egress.Probe)),
        ("dns.types", s => string.Join(' ', s.Dns.Names)),
        ("gateway.listen", s => string.Join(' ', s.Gateway.Listen)),
        ("gateway.ports", s => string.Join(' ', s.Gateway.Ports)),
        ("gateway.dns_port", s => s.Gateway.DnsPort),
        ("gateway.addresses", s => string.Join(' ', s.Gateway.Addresses)),
        ("gateway.routed", s => s.Gateway.Routed),
        ("docker.guard", s => s.Docker.Guard),
        ("init.extra_env", s => s.Init.ExtraEnvironment),
        ("init.nested_docker", s => s.Init.NestedDocker),
    ];

    /// <summary>The keys that differ and therefore wait for a restart.</summary>
    public static IEnumerable<string> Changed(ProxySettings running, ProxySettings next) =>
        All.Where(k => !Equals(k.Value(running), k.Value(next))).Select(k => k.Key);

    /// <summary>What can run now of <paramref name="next"/>: its live part, and the rest as it runs.</summary>
    public static ProxySettings Merge(ProxySettings running, ProxySettings next) => running with
    {
        Fingerprint = next.Fingerprint,
        WrittenSecrets = next.WrittenSecrets,
        Allowlist = next.Allowlist,
        Headers = next.Headers,
        Limits = next.Limits,
        Packages = next.Packages,
        Cache = next.Cache with { Enabled = running.Cache.Enabled, Dir = running.Cache.Dir, Shared = running.Cache.Shared, Remote = running.Cache.Remote },
        Tls = running.Tls with { Passthrough = next.Tls.Passthrough },
        Logging = running.Logging with { Level = next.Logging.Level },
    };
}
