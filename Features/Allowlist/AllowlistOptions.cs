using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist;

internal enum AllowlistMode
{
    /// <summary>What is not allowed is refused.</summary>
    Enforce,

    /// <summary>Everything passes and is recorded, for <c>discobot allowlist export</c>, whether enabled or not.</summary>
    Learn,
}

/// <summary>The <c>allowlist</c> section. All of it is live.</summary>
internal sealed partial record AllowlistOptions
{
    /// <summary>False allows all; true without entries allows nothing.</summary>
    public bool Enabled { get; init; }

    public AllowlistMode Mode { get; init; } = AllowlistMode.Enforce;

    /// <summary>Names may resolve to private, loopback and link-local addresses; metadata services still need an entry in
    /// <see cref="Ips"/>.</summary>
    public bool AllowPrivate { get; init; }

    /// <summary>Whether what nobody looks into needs an entry with its port, except that ports 80 and 443 are taken for HTTP and TLS where nobody
    /// can tell; so where egress is enforced.</summary>
    public bool NeedsPorts { get; init; }

    /// <summary>What names may be reached, in the file's order.</summary>
    public ImmutableArray<DomainRule> Domains { get; init; } = [];

    /// <summary>What address literals may be reached, and what private addresses names may resolve to.</summary>
    public ImmutableArray<IpRange> Ips { get; init; } = [];

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static AllowlistOptions Read(ConfigNode section, AllowlistOptions? fallback = null)
    {
        fallback ??= new AllowlistOptions();
        return new AllowlistOptions
        {
            Enabled = section["enabled"].AsBool(fallback.Enabled),
            Mode = section["mode"].AsWord(fallback.Mode, ("enforce", AllowlistMode.Enforce), ("learn", AllowlistMode.Learn)),
            AllowPrivate = section["allow_private"].AsBool(fallback.AllowPrivate),
            Domains = section["domains"].AsList(fallback.Domains, DomainRule.Read),
            Ips = section["ips"].AsRanges(fallback.Ips),
        };
    }

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteBoolean("enabled", Enabled);
        json.WriteString("mode", Mode == AllowlistMode.Learn ? "learn" : "enforce");
        json.WriteBoolean("allow_private", AllowPrivate);
        json.WriteStartArray("domains");
        foreach (var rule in Domains)
            rule.Write(json);
        json.WriteEndArray();
        json.WriteList("ips", Ips);
        json.WriteEndObject();
    }
}
