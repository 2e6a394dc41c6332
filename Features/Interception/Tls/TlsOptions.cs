using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Interception.Tls;

/// <summary>The <c>tls</c> section. All of it needs a restart.</summary>
internal sealed record TlsOptions
{
    /// <summary>Holds ca.crt and ca.key. An absolute path.</summary>
    public string CertDir { get; init; } = "/.data/proxy/certs";

    /// <summary>PEM files whose certificates are trusted for upstreams beside the system's roots.</summary>
    public ImmutableArray<string> ExtraCa { get; init; } = [];

    /// <summary>Upstreams whose certificate is not checked; no header is ever injected there.</summary>
    public ImmutableArray<HostPattern> InsecureHosts { get; init; } = [];

    /// <summary>Hosts tunnelled blindly, for clients that pin a certificate. The allowlist still holds.</summary>
    public ImmutableArray<HostPattern> Passthrough { get; init; } = [];

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static TlsOptions Read(ConfigNode section, TlsOptions? fallback = null)
    {
        fallback ??= new TlsOptions();
        return new TlsOptions
        {
            CertDir = section["cert_dir"].AsPath(fallback.CertDir),
            ExtraCa = section["extra_ca"].AsList(fallback.ExtraCa, n => n.AsPath()),
            InsecureHosts = section["insecure_hosts"].AsList(fallback.InsecureHosts, n => n.AsHostPattern()),
            Passthrough = section["passthrough"].AsList(fallback.Passthrough, n => n.AsHostPattern()),
        };
    }

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("cert_dir", CertDir);
        json.WriteList("extra_ca", ExtraCa);
        json.WriteList("insecure_hosts", InsecureHosts.Select(p => p.Text));
        json.WriteList("passthrough", Passthrough.Select(p => p.Text));
        json.WriteEndObject();
    }
}
