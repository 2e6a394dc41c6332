using Discobot.Features.Allowlist;
using Discobot.Features.Api;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Configuration;

/// <summary>
/// The operator's file, <c>/etc/discobot/policy.yaml</c>: a configuration whose keys are locked. What it says counts, whatever a
/// workspace says; the entries of its allowlist are the most a workspace may have, which may choose fewer.
/// </summary>
internal sealed class OperatorPolicy(ConfigDocument document, ProxySettings settings)
{
    private static readonly string[] Choosable = ["allowlist.domains", "allowlist.ips"];

    /// <summary>The built-in text with the locked keys in force.</summary>
    public string ApplyToDefault(ConfigDocument builtIn) => builtIn.OverlaidBy(document);

    /// <summary>A workspace's text with the locked keys in force; from the allowlist's entries it has chosen.</summary>
    public string ApplyToWorkspace(ConfigDocument workspace) => workspace.OverlaidBy(document, Choosable);

    /// <summary>Where a workspace asks for more than it may; empty when it stays within.</summary>
    public IEnumerable<string> Objections(ProxySettings workspace)
    {
        if (!settings.Allowlist.Enabled)
            yield break;
        foreach (var rule in workspace.Allowlist.Domains.Where(rule => !settings.Allowlist.Domains.Any(p => Covers(p, rule))))
            yield return $"allowlist.domains: {rule} is more than /etc/discobot/policy.yaml allows";
        foreach (var range in workspace.Allowlist.Ips.Where(range => !settings.Allowlist.Ips.Any(p => Covers(p, range))))
            yield return $"allowlist.ips: {range} is more than /etc/discobot/policy.yaml allows";
        if (workspace.Allowlist.AllowPrivate && !settings.Allowlist.AllowPrivate)
            yield return "allowlist.allow_private: /etc/discobot/policy.yaml does not allow it";
        if (workspace.Allowlist.Mode != settings.Allowlist.Mode)
            yield return "allowlist.mode: /etc/discobot/policy.yaml locks it";
        if (workspace.Api.Protect == ApiProtection.None)
            yield return "api.protect: none would let any process change what /etc/discobot/policy.yaml locks";
    }

    private static bool Covers(DomainRule policy, DomainRule rule)
        => Covers(policy.Host, rule.Host)
            && (policy.Methods.IsEmpty || (!rule.Methods.IsEmpty && rule.Methods.All(policy.Methods.Contains)))
            && (policy.Paths.IsEmpty || (!rule.Paths.IsEmpty && rule.Paths.All(policy.Paths.Contains)));

    private static bool Covers(HostPattern policy, HostPattern host) => policy.Kind switch
    {
        HostPatternKind.Any => true,
        HostPatternKind.Exact => host.Kind == HostPatternKind.Exact && host.Name == policy.Name,
        HostPatternKind.Suffix => (host.Kind == HostPatternKind.Suffix && host.Name == policy.Name)
            || (host.Kind is HostPatternKind.Suffix or HostPatternKind.Exact && host.Name.EndsWith("." + policy.Name, StringComparison.Ordinal)),
        _ => (host.Kind == HostPatternKind.Prefix && host.Name == policy.Name)
            || (host.Kind is HostPatternKind.Prefix or HostPatternKind.Exact && host.Name.StartsWith(policy.Name + ".", StringComparison.Ordinal)),
    };

    private static bool Covers(IpRange policy, IpRange range)
        => policy.PrefixLength <= range.PrefixLength
            && (policy.PrefixLength == 0 || policy.Bits >> (128 - policy.PrefixLength) == range.Bits >> (128 - policy.PrefixLength));
}
