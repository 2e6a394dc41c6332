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

    /// <summary>What no entry decides waits for whoever watches; without an answer it is refused.</summary>
    Ask,
}

/// <summary>The <c>allowlist</c> section. All of it is live.</summary>
internal sealed partial record AllowlistOptions
{
    /// <summary>False allows all; true without entries allows nothing.</summary>
    public bool Enabled { get; init; }

    public AllowlistMode Mode { get; init; } = AllowlistMode.Enforce;

    /// <summary>While asking: how long a request waits for an answer.</summary>
    public TimeSpan AskTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Names may resolve to private, loopback and link-local addresses; metadata services still need an entry in
    /// <see cref="Ips"/>.</summary>
    public bool AllowPrivate { get; init; }

    /// <summary>Whether what nobody looks into needs an entry with its port, except that ports 80 and 443 are taken for HTTP and TLS where nobody
    /// can tell; so where egress is enforced.</summary>
    public bool NeedsPorts { get; init; }

    /// <summary>What names may be reached, in the file's order.</summary>
    public ImmutableArray<DomainRule> Domains { get; init; } = [];

    /// <summary>Names of sets of further entries.</summary>
    public ImmutableArray<string> Presets { get; init; } = [];

    /// <summary>What names may be reached, by the entries that are written and by those of the presets.</summary>
    public IEnumerable<DomainRule> AllDomains => Domains.Concat(Presets.SelectMany(name => AllowlistPreset.Named(name).Domains));

    /// <summary>What address literals may be reached, and what private addresses names may resolve to.</summary>
    public ImmutableArray<IpRange> Ips { get; init; } = [];

    /// <summary>What may not be reached, whatever else is written.</summary>
    public ImmutableArray<DomainRule> Deny { get; init; } = [];

    /// <summary>Whether anything is refused that <see cref="Deny"/> does not name.</summary>
    public bool Enforces => Enabled && Mode != AllowlistMode.Learn;

    /// <summary>Whether somebody is asked about what no entry decides.</summary>
    public bool Asks => Enabled && Mode == AllowlistMode.Ask;

    /// <summary>What the allowlist does, in a word: <c>ask</c>, <c>enforce</c>, <c>learn</c> or <c>off</c>.</summary>
    public string ModeInForce => Asks ? "ask" : Enforces ? "enforce" : Mode == AllowlistMode.Learn ? "learn" : "off";

    /// <summary>Whether entries that allow are written and count for nothing, as the allowlist is off.</summary>
    public bool IsIdle => !Enabled && !(Domains.IsEmpty && Presets.IsEmpty && Ips.IsEmpty);

    /// <summary>What is to be said of that.</summary>
    public const string Idle = "allowlist.enabled is not true: everything may leave that allowlist.deny does not name, whatever the other entries say";

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static AllowlistOptions Read(ConfigNode section, AllowlistOptions? fallback = null)
    {
        fallback ??= new AllowlistOptions();
        return new AllowlistOptions
        {
            Enabled = section["enabled"].AsBool(fallback.Enabled),
            Mode = section["mode"].AsWord(fallback.Mode, ("enforce", AllowlistMode.Enforce), ("learn", AllowlistMode.Learn), ("ask", AllowlistMode.Ask)),
            AskTimeout = section["ask_timeout"].AsDuration(fallback.AskTimeout, min: TimeSpan.FromSeconds(1), max: TimeSpan.FromHours(1)),
            AllowPrivate = section["allow_private"].AsBool(fallback.AllowPrivate),
            Domains = section["domains"].AsList(fallback.Domains, DomainRule.Read),
            Presets = section["presets"].AsStrings(fallback.Presets, AllowlistPreset.Problem),
            Ips = section["ips"].AsRanges(fallback.Ips),
            Deny = section["deny"].AsList(fallback.Deny, DomainRule.ReadDenied),
        };
    }

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteBoolean("enabled", Enabled);
        json.WriteString("mode", Mode switch { AllowlistMode.Learn => "learn", AllowlistMode.Ask => "ask", _ => "enforce" });
        json.WriteString("ask_timeout", Quantity.Format(AskTimeout));
        json.WriteBoolean("allow_private", AllowPrivate);
        json.WriteStartArray("domains");
        foreach (var rule in Domains)
            rule.Write(json);
        json.WriteEndArray();
        json.WriteList("presets", Presets);
        json.WriteList("ips", Ips);
        json.WriteStartArray("deny");
        foreach (var rule in Deny)
            rule.Write(json);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
