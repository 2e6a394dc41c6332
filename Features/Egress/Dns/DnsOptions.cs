using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Egress.Dns;

/// <summary>The <c>dns</c> section. All of it needs a restart, and is the operator's: whoever may ask for a name's texts can be told things by them.</summary>
internal sealed record DnsOptions
{
    /// <summary>Of which types records are answered where egress is enforced, besides those that lead to a host.</summary>
    public ImmutableArray<DnsType> Types { get; init; } = [];

    /// <summary>The types as they are written.</summary>
    public IEnumerable<string> Names => Types.Select(DnsTypes.Name);

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static DnsOptions Read(ConfigNode section, DnsOptions? fallback = null)
    {
        fallback ??= new DnsOptions();
        var names = section["types"].AsStrings([.. fallback.Names], text => DnsTypes.Parse(text) is not null
            ? null : $"must be a type of DNS records, as in MX, TXT, SRV or TYPE65280, not {ConfigPath.Quote(text)}");
        return new DnsOptions { Types = [.. names.Select(DnsTypes.Parse).OfType<DnsType>().Distinct()] };
    }

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteList("types", Names);
        json.WriteEndObject();
    }
}
