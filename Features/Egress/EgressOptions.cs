using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Egress;

/// <summary>What the packet filter lets out besides the proxy, from the loosest to the tightest.</summary>
internal enum EgressMode
{
    /// <summary>Programs that do not ask the proxy go out directly.</summary>
    Open,

    /// <summary>TCP to ports 80 and 443 and DNS are led to the proxy; QUIC is refused; the rest goes out.</summary>
    Redirect,

    /// <summary>All TCP and DNS are led to the proxy; the rest is refused.</summary>
    Enforce,
}

/// <summary>The <c>egress</c> section. All of it needs a restart.</summary>
internal sealed record EgressOptions
{
    /// <summary>Null (<c>auto</c>): nobody chose. Outside a container nothing is then led here; in one the init chooses.</summary>
    public EgressMode? Mode { get; init; }

    /// <summary>Where redirected connections arrive, on 127.0.0.1 and ::1.</summary>
    public int Port { get; init; } = 17082;

    /// <summary>Where redirected questions for names arrive, on 127.0.0.1 and ::1.</summary>
    public int DnsPort { get; init; } = 17053;

    /// <summary>Whether an agent that runs as root is taken at its word where egress is enforced: it can undo the rules.</summary>
    public bool TrustAgent { get; init; }

    /// <summary>Whether set-user-ID programs give the agent nothing where egress is enforced.</summary>
    public bool NoNewPrivileges { get; init; } = true;

    /// <summary>Whom <c>discobot doctor</c> tries to reach past the proxy; empty: addresses that are nobody's.</summary>
    public ImmutableArray<IPAddress> Probe { get; init; } = [];

    /// <summary>Whether this proxy serves what a packet filter leads to it.</summary>
    public bool IsServed => Mode is EgressMode.Redirect or EgressMode.Enforce;

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static EgressOptions Read(ConfigNode section, EgressOptions? fallback = null)
    {
        fallback ??= new EgressOptions();
        return new EgressOptions
        {
            Mode = ReadMode(section["mode"], fallback.Mode),
            Port = section["port"].AsInt(fallback.Port, 1, 65535),
            DnsPort = section["dns_port"].AsInt(fallback.DnsPort, 1, 65535),
            TrustAgent = section["trust_agent"].AsBool(fallback.TrustAgent),
            NoNewPrivileges = section["no_new_privs"].AsBool(fallback.NoNewPrivileges),
            Probe = section["probe"] is { IsList: true } list && !list.Items().Any() ? [] : section["probe"].AsAddresses(fallback.Probe),
        };
    }

    /// <summary>Reads a mode by its word.</summary>
    public static EgressMode? ReadMode(ConfigNode node, EgressMode? fallback) => node.AsWord<EgressMode?>(
        fallback, ("auto", null), ("open", EgressMode.Open), ("redirect", EgressMode.Redirect), ("enforce", EgressMode.Enforce));

    /// <summary>The mode as it is written.</summary>
    public static string Word(EgressMode? mode) => mode switch
    {
        null => "auto",
        EgressMode.Redirect => "redirect",
        EgressMode.Enforce => "enforce",
        _ => "open",
    };

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("mode", Word(Mode));
        json.WriteNumber("port", Port);
        json.WriteNumber("dns_port", DnsPort);
        json.WriteBoolean("trust_agent", TrustAgent);
        json.WriteBoolean("no_new_privs", NoNewPrivileges);
        json.WriteList("probe", Probe);
        json.WriteEndObject();
    }
}
