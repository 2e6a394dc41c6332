using System.Collections.Immutable;
using Discobot.Features.Allowlist;
using Discobot.Features.Api;
using Discobot.Features.Audit;
using Discobot.Features.Cache;
using Discobot.Features.Clients;
using Discobot.Features.Credentials;
using Discobot.Features.DockerGuard;
using Discobot.Features.Egress;
using Discobot.Features.Egress.Dns;
using Discobot.Features.Headers;
using Discobot.Features.Init;
using Discobot.Features.Interception;
using Discobot.Features.Limits;
using Discobot.Features.Packages;
using Discobot.Features.Socks5;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Logging;

namespace Discobot.Features.Configuration;

/// <summary>A whole configuration file as immutable records, one a section.</summary>
internal sealed record ProxySettings
{
    public required ProxyOptions Proxy { get; init; }

    public required TlsOptions Tls { get; init; }

    public required CacheOptions Cache { get; init; }

    public required PackageOptions Packages { get; init; }

    public required HeaderOptions Headers { get; init; }

    public required CredentialOptions Credentials { get; init; }

    public required ClientOptions Clients { get; init; }

    public required LimitOptions Limits { get; init; }

    public required AllowlistOptions Allowlist { get; init; }

    public required AskOptions Ask { get; init; }

    public required LoggingOptions Logging { get; init; }

    public required ApiOptions Api { get; init; }

    public required AuditOptions Audit { get; init; }

    public required SocksOptions Socks { get; init; }

    public required EgressOptions Egress { get; init; }

    public required DnsOptions Dns { get; init; }

    public required GatewayOptions Gateway { get; init; }

    public required GuardOptions Docker { get; init; }

    public required InitOptions Init { get; init; }

    /// <summary>The mode that a container is to have: the one that somebody named, else what the allowlist needs to bind everybody. Whether it can
    /// have it the init finds out, and tells its proxy (<c>DISCOBOT_EGRESS</c>).</summary>
    public EgressMode ContainerEgress
        => Egress.Mode ?? (Allowlist.Enforces ? EgressMode.Enforce : EgressMode.Redirect);

    /// <summary>The allowlist, as tight as the way out that this proxy stands in.</summary>
    public AllowlistOptions AllowlistInForce => Egress.Mode == EgressMode.Enforce ? Allowlist with { NeedsPorts = true } : Allowlist;

    /// <summary>Of the text these were read from: <see cref="ConfigDocument.Fingerprint"/>.</summary>
    public string Fingerprint { get; init; } = "";

    /// <summary>Where the text they were read from names secrets that are kept elsewhere.</summary>
    public ImmutableArray<SecretPlace> WrittenSecrets { get; init; } = [];

    /// <summary>All values that are kept elsewhere or must not be shown, and the key of each.</summary>
    public IEnumerable<(string Key, SecretText Value)> Secrets() => [.. Headers.Secrets(), .. Cache.Remote.Secrets(), .. Socks.Secrets(), .. Clients.Secrets(), .. Proxy.Secrets(), .. Credentials.Sources(), .. Ask.Secrets()];

    /// <summary>Who may use the proxy; empty: everybody.</summary>
    public IReadOnlyCollection<ProxyUser> Users => [.. Clients.Users, .. Socks.Users];

    /// <summary>What holds when nothing is written anywhere: default.yaml, with its paths below <paramref name="dataDirectory"/>.</summary>
    public static ProxySettings Default(string dataDirectory) => new()
    {
        Proxy = new ProxyOptions(),
        Tls = new TlsOptions { CertDir = Path.Combine(dataDirectory, "certs") },
        Cache = new CacheOptions { Dir = Path.Combine(dataDirectory, "cache") },
        Packages = new PackageOptions(),
        Headers = new HeaderOptions(),
        Credentials = new CredentialOptions(),
        Clients = new ClientOptions(),
        Limits = new LimitOptions(),
        Allowlist = new AllowlistOptions(),
        Ask = new AskOptions(),
        Logging = new LoggingOptions(),
        Api = new ApiOptions { TokenFile = Path.Combine(dataDirectory, "api.token") },
        Audit = new AuditOptions(),
        Socks = new SocksOptions(),
        Egress = new EgressOptions(),
        Dns = new DnsOptions(),
        Gateway = new GatewayOptions(),
        Docker = new GuardOptions(),
        Init = new InitOptions(),
    };

    /// <summary>Reads a file's root; what is not written is as in <paramref name="fallback"/>.</summary>
    public static ProxySettings Read(ConfigNode root, ProxySettings fallback) => new()
    {
        Proxy = ProxyOptions.Read(root["proxy"], fallback.Proxy),
        Tls = TlsOptions.Read(root["tls"], fallback.Tls),
        Cache = CacheOptions.Read(root["cache"], fallback.Cache),
        Packages = PackageOptions.Read(root["packages"], fallback.Packages),
        Headers = HeaderOptions.Read(root["headers"], fallback.Headers),
        Credentials = CredentialOptions.Read(root["secrets"], fallback.Credentials),
        Clients = ClientOptions.Read(root["clients"], fallback.Clients),
        Limits = LimitOptions.Read(root["limits"], fallback.Limits),
        Allowlist = AllowlistOptions.Read(root["allowlist"], fallback.Allowlist),
        Ask = AskOptions.Read(root["ask"], fallback.Ask),
        Logging = LoggingOptions.Read(root["logging"], fallback.Logging),
        Api = ApiOptions.Read(root["api"], root["proxy"]["api_port"], fallback.Api),
        Audit = AuditOptions.Read(root["audit"], fallback.Audit),
        Socks = SocksOptions.Read(root["socks"], fallback.Socks),
        Egress = EgressOptions.Read(root["egress"], fallback.Egress),
        Dns = DnsOptions.Read(root["dns"], fallback.Dns),
        Gateway = GatewayOptions.Read(root["gateway"], fallback.Gateway),
        Docker = GuardOptions.Read(root["docker"], fallback.Docker),
        Init = InitOptions.Read(root["init"], fallback.Init),
    };
}
