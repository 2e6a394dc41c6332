using Discobot.Features.DockerGuard;
using Discobot.Features.Egress;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>The configuration that a container gets.</summary>
/// <param name="Text">As it is written for the proxy.</param>
/// <param name="Source">Where it comes from, for the log.</param>
/// <param name="Settings">What it means, the environment's variables included.</param>
/// <param name="Refused">Why the workspace's own, or the operator's, was not used.</param>
internal sealed record ContainerConfig(string Text, string Source, ProxySettings Settings, IReadOnlyList<string> Refused)
{
    /// <summary>The variables that hold secrets of the operator's policy: for the proxy alone.</summary>
    public IReadOnlyCollection<string> SecretVariables { get; init; } = [];

    private const string WorkspaceName = ".discobot/proxy/config.yaml of the workspace";
    private const string BuiltInName = "built-in default";

    // What is left when the operator's word cannot be read: nothing may leave.
    private const string Closed = "allowlist:\n  enabled: true\n  domains: []\n";

    /// <summary>Chooses: the workspace's text when it has a good one, else the built-in one; the operator's policy over either.</summary>
    /// <param name="workspace">The text of the workspace's file; null when it has none.</param>
    /// <param name="policyFile">The operator's file; need not exist. One that cannot be read allows nothing.</param>
    /// <param name="environment">Its variables count over the text, as they do for the proxy.</param>
    public static ContainerConfig Choose(string? workspace, string policyFile, IReadOnlyDictionary<string, string> environment)
    {
        var sources = SettingsSources.Of(null, environment);
        var builtIn = ConfigDocument.Parse(DefaultConfiguration.Text(), BuiltInName);
        OperatorPolicy? policy = null;
        if (Path.Exists(policyFile))
        {
            var document = ConfigDocument.LoadRegular(policyFile);
            var settings = sources.Load(document);
            if (!settings.IsValid)
                return Fixed(Closed, $"nothing is allowed, as {policyFile} cannot be used", sources, [.. settings.Errors.Select(e => e.ToString())]);
            policy = new OperatorPolicy(document, settings.Value);
        }

        var refused = new List<string>();
        if (workspace is not null && FromWorkspace(workspace, policy, builtIn, sources, refused) is { } chosen)
            return chosen with { SecretVariables = policy?.SecretVariables ?? [] };
        return policy is null
            ? Fixed(DefaultConfiguration.Text(), BuiltInName, sources, refused)
            : Fixed(policy.ApplyToDefault(builtIn), $"{BuiltInName} and {policyFile}", sources, refused) with { SecretVariables = policy.SecretVariables };
    }

    /// <summary>
    /// What is wrong with the operator's own words, the policy and the variables. A container with one of these does not start: what they
    /// were to keep, a way out above all, would not be kept.
    /// </summary>
    /// <param name="policyFile">The operator's file; need not exist.</param>
    /// <param name="environment">The container's variables.</param>
    public static IReadOnlyList<string> OperatorErrors(string policyFile, IReadOnlyDictionary<string, string> environment)
    {
        var document = Path.Exists(policyFile) ? ConfigDocument.LoadRegular(policyFile) : ConfigDocument.Parse(DefaultConfiguration.Text(), BuiltInName);
        return [.. SettingsSources.Of(null, environment).Load(document).Errors.Select(e => e.ToString())];
    }

    private static ContainerConfig? FromWorkspace(string text, OperatorPolicy? policy, ConfigDocument builtIn, SettingsSources sources, List<string> refused)
    {
        var operators = Fixed(policy is null ? DefaultConfiguration.Text() : policy.ApplyToDefault(builtIn), BuiltInName, sources, []).Settings;
        // What may be let out at most; a workspace may ask for less.
        var loosest = policy?.Egress ?? operators.ContainerEgress;
        var document = ConfigDocument.Parse(text, WorkspaceName);
        var own = sources.Load(document);
        refused.AddRange(own.Errors.Select(e => e.ToString()));
        if (own.Value is { } settings)
            refused.AddRange([.. WorkspaceRules.Violations(settings), .. WorkspaceRules.Widened(settings, operators), .. WorkspaceRules.Unservable(settings), .. policy?.Objections(settings) ?? []]);
        // What the text itself says; the environment's word is the operator's.
        var asked = document.Read(root => EgressOptions.Read(root["egress"])).Value;
        if (asked?.Mode < loosest)
            refused.Add($"egress.mode: {EgressOptions.Word(asked.Mode)} lets out more than {EgressOptions.Word(loosest)}, which is the operator's to change");
        if (refused.Count > 0)
            return null;
        if (policy is null)
        {
            // A mode that nobody named limits nothing that a workspace may say of its own way out.
            if (operators.Egress.Mode >= EgressMode.Redirect)
                refused.AddRange(WorkspaceRules.Detours(own.Value!, operators));
            return refused.Count > 0 ? null : new ContainerConfig(text, WorkspaceName, Tightened(own.Value!, document), []);
        }

        var merged = policy.ApplyToWorkspace(document);
        var result = sources.Load(ConfigDocument.Parse(merged, $"{WorkspaceName} with the operator's policy"));
        refused.AddRange(result.Errors.Select(e => e.ToString()));
        if (result.Value is { } within)
            refused.AddRange([.. WorkspaceRules.Detours(within, operators), .. WorkspaceRules.Unservable(within).Except(refused)]);
        return refused.Count == 0 && result.Value is { } both ? new ContainerConfig(merged, $"{WorkspaceName}, within the operator's policy", Tightened(both, document), []) : null;
    }

    // Of each key the tighter word counts, the workspace's or the operator's; the init asks for these itself, so they need not be in the text.
    private static ProxySettings Tightened(ProxySettings settings, ConfigDocument workspace)
    {
        var (egress, docker) = (settings.Egress, settings.Docker);
        var own = workspace.Read(root => EgressOptions.Read(root["egress"], egress)).Value ?? egress;
        return settings with
        {
            Egress = egress with
            {
                Mode = own.Mode > settings.ContainerEgress ? own.Mode : egress.Mode,
                TrustAgent = egress.TrustAgent && own.TrustAgent,
                NoNewPrivileges = egress.NoNewPrivileges || own.NoNewPrivileges,
            },
            Docker = workspace.Read(root => GuardOptions.Read(root["docker"])).Value?.Guard == true ? docker with { Guard = true } : docker,
        };
    }

    // A variable of the environment may be wrong: the text without it still means something.
    private static ContainerConfig Fixed(string text, string source, SettingsSources sources, IReadOnlyList<string> refused)
    {
        var result = sources.Load(ConfigDocument.Parse(text, source));
        var settings = result.Value ?? ProxySettings.Default(sources.DataDirectory);
        return new ContainerConfig(text, source, settings, [.. refused, .. result.Errors.Select(e => e.ToString())]);
    }
}
