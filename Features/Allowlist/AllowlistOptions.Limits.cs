using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist;

internal sealed partial record AllowlistOptions
{
    /// <summary>With this as the most that is allowed: what another one, which may choose less of it, asks for beyond.</summary>
    public IEnumerable<string> Exceeding(AllowlistOptions wish)
    {
        if (!Enabled)
            yield break;
        foreach (var rule in wish.AllDomains.Where(rule => !AllDomains.Any(limit => Covers(limit, rule, NeedsPorts))))
            yield return $"allowlist.domains: {rule} is more than the operator's policy allows";
        foreach (var range in wish.Ips.Where(range => !Ips.Any(limit => Covers(limit, range))))
            yield return $"allowlist.ips: {range} is more than the operator's policy allows";
        if (wish.AllowPrivate && !AllowPrivate)
            yield return "allowlist.allow_private: the operator's policy does not allow it";
        if (wish.Mode != Mode)
            yield return "allowlist.mode: the operator's policy locks it";
    }

    /// <summary>Whether one allows all that the other does. Paths are compared as they are written: that may refuse what would be less, and never allows
    /// what would be more.</summary>
    /// <param name="limit">The one that may be wider.</param>
    /// <param name="rule">The other.</param>
    /// <param name="needsPorts">Whether what is neither HTTP nor TLS passes by an entry with its port alone (<see cref="NeedsPorts"/>): then ports allow more.</param>
    public static bool Covers(DomainRule limit, DomainRule rule, bool needsPorts)
        => Covers(limit.Host, rule.Host)
            && (limit.Ports.IsEmpty ? !needsPorts || rule.Ports.IsEmpty : (!rule.Ports.IsEmpty && rule.Ports.All(p => limit.Ports.Contains(p))))
            && (limit.Methods.IsEmpty || (!rule.Methods.IsEmpty && rule.Methods.All(m => limit.Methods.Contains(m))))
            && (limit.Paths.IsEmpty || (!rule.Paths.IsEmpty && rule.Paths.All(p => limit.Paths.Contains(p))))
            && limit.Query.All(asked => rule.Query.Any(asked.Covers))
            && (limit.Clients.IsEmpty || (!rule.Clients.IsEmpty && rule.Clients.All(c => limit.Clients.Contains(c))));

    private static bool Covers(HostPattern limit, HostPattern host) => limit.Kind switch
    {
        HostPatternKind.Any => true,
        HostPatternKind.Exact => host.Kind == HostPatternKind.Exact && host.Name == limit.Name,
        HostPatternKind.Suffix => (host.Kind == HostPatternKind.Suffix && host.Name == limit.Name)
            || (host.Kind is HostPatternKind.Suffix or HostPatternKind.Exact && host.Name.EndsWith("." + limit.Name, StringComparison.Ordinal)),
        _ => (host.Kind == HostPatternKind.Prefix && host.Name == limit.Name)
            || (host.Kind is HostPatternKind.Prefix or HostPatternKind.Exact && host.Name.StartsWith(limit.Name + ".", StringComparison.Ordinal)),
    };

    /// <summary>Whether one holds the other.</summary>
    public static bool Covers(IpRange limit, IpRange range)
        => limit.PrefixLength <= range.PrefixLength
            && (limit.PrefixLength == 0 || limit.Bits >> (128 - limit.PrefixLength) == range.Bits >> (128 - limit.PrefixLength));
}
