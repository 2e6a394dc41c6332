using System.Net;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

/// <summary>Refusals: one sentence each, which names the entry that would allow it.</summary>
internal sealed partial class AllowlistRules
{
    /// <summary>The rule named when no entry matched.</summary>
    public const string Default = "default";

    /// <summary>What the rule named begins with when an entry denied.</summary>
    public const string Denied = "deny ";

    private const int MaxPathShown = 200;

    /// <summary>For what is no host in any spelling.</summary>
    public static EgressVerdict RefuseMalformed(string host) =>
        EgressVerdict.Refuse(Default, $"\"{Shown(host)}\" is neither a name nor an address, so no entry of the allowlist can allow it.");

    private static EgressVerdict RefuseHost(in CanonicalHost host) => EgressVerdict.Refuse(Default, host.IsLiteral
        ? $"{host} is not in allowlist.ips; the entry \"{host}\" there would allow it."
        : $"{host} is not in allowlist.domains; the entry \"{host}\" there would allow it.");

    private static EgressVerdict RefuseClient(in CanonicalHost host, string? client, string rule) => EgressVerdict.Refuse(
        rule, $"{host} is allowed for other clients; this one is {client ?? ProxyUsers.Unnamed}, and the entry {{host: \"{host}\", clients: [{client ?? ProxyUsers.Unnamed}]}} in allowlist.domains would allow it.");

    private static EgressVerdict RefusePort(in CanonicalHost host, int port, string rule) => EgressVerdict.Refuse(
        rule, $"port {port} of {host} is not among those that allowlist.domains allows; the entry {{host: \"{host}\", ports: [{port}]}} there would allow it.");

    private static EgressVerdict RefuseRaw(in CanonicalHost host, int port, string rule) => EgressVerdict.Refuse(
        rule,
        $"what goes to port {port} of {host} is neither HTTP nor TLS that is looked into, and passes only where an entry has the port; "
        + $"the entry {{host: \"{host}\", ports: [{port}]}} in allowlist.domains would allow it.");

    private static EgressVerdict RefuseBlind(in CanonicalHost host, string rule) => EgressVerdict.Refuse(
        rule,
        $"{host} is allowed for certain methods, paths or queries only, which cannot be checked in a tunnel that is not intercepted; "
        + $"the entry \"{host}\" in allowlist.{(host.IsLiteral ? "ips" : "domains")} would allow it.");

    private static EgressVerdict RefuseRequest(in CanonicalHost host, string method, AskedPath asked, string rule) => EgressVerdict.Refuse(
        rule,
        $"{Shown(method)} {Shown(asked.Text)} is not among what allowlist.domains allows for {host}; the entry {{host: \"{host}\", "
        + $"methods: [{Shown(method)}]{ShownPaths(asked.Text)}}} there would allow it.");

    // A path that no glob can say needs an entry for all paths.
    private static string ShownPaths(string path)
    {
        var glob = path.Replace("*", "%2A", StringComparison.Ordinal);
        return PathGlob.TryParse(glob, out _, out _) ? $", paths: [\"{Shown(glob)}\"]" : "";
    }

    private static EgressVerdict RefuseAddress(in CanonicalHost host, IPAddress address, IPAddress closed)
    {
        var kind = SpecialAddresses.ClassifyPlain(closed);
        var through = closed.Equals(address) ? "" : $"{address}, which leads to ";
        var orPrivate = OpensWithPrivate(kind) ? ", and so would allowlist.allow_private: true" : "";
        return EgressVerdict.Refuse(kind.ToString().ToLowerInvariant(),
            $"{host} resolves to {through}{closed}, {SpecialAddresses.Describe(kind)}, which names may not lead to; "
            + $"the entry \"{closed}\" in allowlist.ips would allow it{orPrivate}.");
    }

    // What a client chose ends up in a log line and an error body: one line, not endless.
    private static string Shown(string text)
    {
        var cut = text.Length > MaxPathShown ? text[..MaxPathShown] + "…" : text;
        return string.Concat(cut.Select(c => char.IsControl(c) || c is '"' ? '?' : c));
    }
}
