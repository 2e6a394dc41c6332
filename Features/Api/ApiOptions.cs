using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Api;

/// <summary>What the bearer token is needed for.</summary>
internal enum ApiProtection
{
    /// <summary>Changing the configuration. Reading anything and clearing the cache are free.</summary>
    Config,

    /// <summary>Everything but <c>/health</c>.</summary>
    All,

    /// <summary>Nothing: any process that reaches the port can switch the allowlist off.</summary>
    None,
}

/// <summary>The <c>api</c> section and <c>proxy.api_port</c>. All of it needs a restart.</summary>
internal sealed record ApiOptions
{
    public int Port { get; init; } = 17081;

    /// <summary>Loopback only. ::1 is left out where the machine has no IPv6.</summary>
    public ImmutableArray<IPAddress> Listen { get; init; } = [IPAddress.Loopback, IPAddress.IPv6Loopback];

    /// <summary>Further names that it answers to, canonical: of a container, of a service.</summary>
    public ImmutableArray<string> Hosts { get; init; } = [];

    /// <summary>Holds the bearer token; made with mode 0600 when missing. An absolute path.</summary>
    public string TokenFile { get; init; } = "/.data/proxy/api.token";

    public ApiProtection Protect { get; init; } = ApiProtection.Config;

    /// <summary>Whether there is a page at <c>/</c>.</summary>
    public bool Ui { get; init; } = true;

    /// <summary>No key: a gateway's API listens where agents are. Those get nothing without the token but <c>/health</c> and what is public.</summary>
    public bool GuardsAgainstOthers { get; init; }

    /// <summary>Whether what <see cref="Protect"/> says counts for this connection.</summary>
    public bool IsOpenTo(ConnectionInfo connection) => !GuardsAgainstOthers || connection.LocalIpAddress is not { } address || IPAddress.IsLoopback(address);

    /// <summary>Whether changing the configuration needs the token.</summary>
    public bool IsProtected => Protect != ApiProtection.None || GuardsAgainstOthers;

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    /// <param name="section"><c>api</c>.</param>
    /// <param name="port"><c>proxy.api_port</c>: it lies there since the first configuration files.</param>
    /// <param name="fallback">What holds where nothing is written.</param>
    public static ApiOptions Read(ConfigNode section, ConfigNode port, ApiOptions? fallback = null)
    {
        fallback ??= new ApiOptions();
        return new ApiOptions
        {
            Port = port.AsInt(fallback.Port, 1, 65535),
            Listen = section["listen"].AsAddresses(fallback.Listen),
            Hosts = section["hosts"].AsList(fallback.Hosts, ReadHost),
            TokenFile = section["token_file"].AsPath(fallback.TokenFile),
            Protect = section["protect"].AsWord(
                fallback.Protect, ("config", ApiProtection.Config), ("all", ApiProtection.All), ("none", ApiProtection.None)),
            Ui = section["ui"].AsBool(fallback.Ui),
        };
    }

    private static string? ReadHost(ConfigNode node)
    {
        if (node.AsString() is not { } text)
            return null;
        if (CanonicalHost.TryParse(text, out var host) && !host.IsLiteral)
            return host.Name;
        node.Error("must be a host name, without port; addresses are answered to anyway");
        return null;
    }

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteList("listen", Listen);
        json.WriteList("hosts", Hosts);
        json.WriteString("token_file", TokenFile);
        json.WriteString("protect", ProtectWord());
        json.WriteBoolean("ui", Ui);
        json.WriteEndObject();
    }

    /// <summary>The word in the file for <see cref="Protect"/>.</summary>
    public string ProtectWord() => Protect switch { ApiProtection.All => "all", ApiProtection.None => "none", _ => "config" };
}
