using Discobot.Features.Egress;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>
/// The operator's file, <c>/etc/discobot/policy.yaml</c>: a configuration whose keys are locked. What it says counts, whatever a
/// workspace says; the entries of its allowlist and the types of records that it names are the most a workspace may have, which may choose fewer.
/// </summary>
internal sealed class OperatorPolicy(ConfigDocument document, ProxySettings settings)
{
    private static readonly string[] Choosable = ["allowlist.domains", "allowlist.presets", "allowlist.ips", "dns.types"];

    /// <summary>What may be let out at most.</summary>
    public EgressMode Egress => settings.ContainerEgress;

    /// <summary>The variables that the policy's secrets are in: nobody else is to see or to use them.</summary>
    public IReadOnlyCollection<string> SecretVariables { get; } =
        [.. settings.Secrets().Where(s => s.Value.Source == SecretSource.Environment).Select(s => s.Value.Text).Distinct()];

    /// <summary>The built-in text with the locked keys in force.</summary>
    public string ApplyToDefault(ConfigDocument builtIn) => builtIn.OverlaidBy(document);

    /// <summary>A workspace's text with the locked keys in force; from the allowlist's entries it has chosen.</summary>
    public string ApplyToWorkspace(ConfigDocument workspace) => workspace.OverlaidBy(document, Choosable);

    /// <summary>Where a workspace asks for more than it may; empty when it stays within.</summary>
    public IEnumerable<string> Objections(ProxySettings workspace)
    {
        foreach (var objection in (settings.Allowlist with { NeedsPorts = Egress == EgressMode.Enforce }).Exceeding(workspace.Allowlist))
            yield return objection;
        if (settings.Allowlist.Enabled && !workspace.Api.IsProtected)
            yield return "api.protect: none would let any process change what the operator's policy locks";
        if (!settings.Clients.IsEmpty && !workspace.Socks.Users.IsEmpty && workspace.Socks.UsersIdentity() != settings.Socks.UsersIdentity())
            yield return "socks.users: the operator's policy names who may use the proxy (clients)";
        foreach (var (key, value) in workspace.Secrets())
        {
            if (value.Source == SecretSource.Environment && SecretVariables.Contains(value.Text))
                yield return $"{key}: {value} is a secret of the operator's policy";
        }
    }
}
