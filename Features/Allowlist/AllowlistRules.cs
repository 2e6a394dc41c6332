using System.Collections.Frozen;
using System.Net;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

/// <summary>The <c>allowlist</c> section prebuilt for matching. Immutable: a reload makes a new one.</summary>
internal sealed partial class AllowlistRules
{
    private readonly AllowlistOptions _options;
    private readonly HostPatternSet<CompiledRule> _domains;
    private readonly IpRangeSet _ips;
    private readonly DenyRules? _deny;
    private readonly bool _hasPorts;
    private readonly bool _hasClients;

    /// <param name="options">What is written.</param>
    /// <param name="grants">What somebody allowed beyond.</param>
    public AllowlistRules(AllowlistOptions options, IReadOnlyList<Grant>? grants = null)
    {
        _options = options;
        grants ??= [];
        _domains = new HostPatternSet<CompiledRule>(
            options.AllDomains.Select(d => KeyValuePair.Create(d.Host, new CompiledRule(d, d.ToString(), isGrant: false)))
                .Concat(grants.Select(g => KeyValuePair.Create(g.Entry.Host, new CompiledRule(g.Entry, g.Text, isGrant: true)))));
        _ips = new IpRangeSet(options.Ips);
        _deny = options.Deny.IsEmpty ? null : new DenyRules(options.Deny);
        _hasPorts = options.AllDomains.Concat(grants.Select(g => g.Entry)).Any(d => !d.Ports.IsEmpty);
        _hasClients = options.AllDomains.Concat(grants.Select(g => g.Entry)).Any(d => !d.Clients.IsEmpty);
    }

    /// <summary>False: whatever is asked is allowed.</summary>
    public bool Enforces => _options.Enforces;

    /// <summary>Whether what no entry decides waits for an answer.</summary>
    public bool Asks => _options.Asks;

    /// <inheritdoc cref="AllowlistOptions.ModeInForce"/>
    public string ModeInForce => _options.ModeInForce;

    public bool Learns => _options.Mode == AllowlistMode.Learn;

    /// <summary>Whether anything at all may go to this host.</summary>
    /// <param name="host">Who.</param>
    /// <param name="port">Where; <see cref="ConnectTarget.AnyPort"/> asks for any.</param>
    /// <param name="client">Who asks, by name.</param>
    public EgressVerdict JudgeHost(in CanonicalHost host, int port, string? client = null)
    {
        if (host.Address is { } literal && PermitsLiteral(literal, out var range))
            return EgressVerdict.Allow(range);
        var rules = RulesFor(host, port, client);
        return rules.Count > 0 ? EgressVerdict.Allow(rules[0].Text) : Refuse(host, port, client);
    }

    /// <summary>Whether everything may go to this host.</summary>
    /// <param name="host">Who.</param>
    /// <param name="port">Where.</param>
    /// <param name="isKnownRaw">Whether it was seen to be neither HTTP nor TLS; else nobody knows.</param>
    /// <param name="client">Who asks, by name.</param>
    public EgressVerdict JudgeBlind(in CanonicalHost host, int port, bool isKnownRaw, string? client = null)
    {
        var needsPort = _options.NeedsPorts && (isKnownRaw || port is not (80 or 443));
        if (!needsPort && host.Address is { } literal && PermitsLiteral(literal, out var range))
            return EgressVerdict.Allow(range);
        var rules = RulesFor(host, port, client);
        foreach (var rule in rules)
        {
            if (!rule.IsRestricted && (rule.HasPorts || !needsPort))
                return EgressVerdict.Allow(rule.Text);
        }

        return needsPort ? RefuseRaw(host, port, rules.Count > 0 ? rules[0].Text : Default) with { Asks = Asks && rules.All(r => r.IsGrant) && port != ConnectTarget.AnyPort ? port : null }
            : rules.Count > 0 ? RefuseBlind(host, rules[0].Text) : Refuse(host, port, client);
    }

    /// <summary>Whether this request may go to this host. Any matching entry may allow it: entries add up.</summary>
    public EgressVerdict JudgeRequest(in CanonicalHost host, int port, string method, AskedPath asked, string? client = null)
    {
        if (host.Address is { } literal && PermitsLiteral(literal, out var range))
            return EgressVerdict.Allow(range);
        var rules = RulesFor(host, port, client);
        foreach (var rule in rules)
        {
            if (rule.AllowsMethod(method) && (rule.AllowsAnyPath || rule.AllowsPath(asked.Path)) && rule.AllowsQuery(asked))
                return EgressVerdict.Allow(rule.Text);
        }

        return rules.Count > 0 ? RefuseRequest(host, method, asked, rules[0].Text) : Refuse(host, port, client);
    }

    /// <summary>Whether this address, to which the name resolved, may be dialled.</summary>
    public EgressVerdict JudgeAddress(in CanonicalHost host, int port, IPAddress address)
    {
        // The name is judged again: rules may have changed since the tunnel began.
        var verdict = JudgeHost(host, port, ProxyUsers.Anyone);
        if (!verdict.Allowed || host.IsLiteral || NeedsEntry(address) is not { } closed)
            return verdict;
        return RefuseAddress(host, address, closed);
    }

    /// <summary>The address, perhaps embedded in <paramref name="address"/>, that is not public and that nothing permits; else null.</summary>
    public IPAddress? NeedsEntry(IPAddress address)
    {
        foreach (var destination in EmbeddedAddresses.Of(address))
        {
            var kind = SpecialAddresses.ClassifyPlain(destination);
            if (kind != AddressKind.Public && !(_options.AllowPrivate && OpensWithPrivate(kind)) && !_ips.Contains(destination))
                return destination;
        }

        return null;
    }

    // Metadata services hand out credentials: "private" is not understood to mean them.
    private static bool OpensWithPrivate(AddressKind kind) =>
        kind is AddressKind.Private or AddressKind.LinkLocal or AddressKind.Loopback or AddressKind.Unspecified;

    // A literal is allowed by the range that holds it. Where it embeds IPv4 addresses, each that is not public needs a range too:
    // "::/0" is not meant to open 64:ff9b::169.254.169.254.
    private bool PermitsLiteral(IPAddress address, out string range)
    {
        range = "";
        foreach (var destination in EmbeddedAddresses.Of(address))
        {
            if (_ips.TryFind(destination, out var found) || (SpecialAddresses.ClassifyPlain(destination) == AddressKind.Public
                && _ips.TryFind(address, out found)))
                range = found.Text;
            else
                return false;
        }

        return true;
    }

    // Wildcards speak of names; an address literal needs a range, or to be written out.
    private IReadOnlyList<CompiledRule> RulesFor(in CanonicalHost host, int port, string? client)
    {
        var rules = _domains.FindAll(host);
        var isLiteral = host.IsLiteral;
        return rules.Count > 0 && (isLiteral || _hasClients || (_hasPorts && port != ConnectTarget.AnyPort))
            ? [.. rules.Where(r => (r.IsExact || !isLiteral) && r.AllowsPort(port) && r.AllowsClient(client))] : rules;
    }

    private EgressVerdict Refuse(in CanonicalHost host, int port, string? client) =>
        RulesFor(host, ConnectTarget.AnyPort, client).FirstOrDefault(r => !r.IsGrant) is { } other ? RefusePort(host, port, other.Text)
        : (_hasClients && RulesFor(host, port, ProxyUsers.Anyone).FirstOrDefault(r => !r.IsGrant) is { } others ? RefuseClient(host, client, others.Text) : RefuseHost(host)) with { Asks = Asks ? 0 : null };

    /// <param name="rule">The entry.</param>
    /// <param name="text">As it is told.</param>
    /// <param name="isGrant">Whether somebody gave it who was asked: they can be asked for more.</param>
    private sealed class CompiledRule(DomainRule rule, string text, bool isGrant)
    {
        private readonly FrozenSet<string> _methods = rule.Methods.ToFrozenSet(StringComparer.Ordinal);
        private readonly PathGlob[] _paths = [.. rule.Paths.Select(PathGlob.Parse)];

        public string Text { get; } = text;

        public bool IsGrant => isGrant;

        public bool IsExact => rule.Host.Kind == HostPatternKind.Exact;

        public bool IsRestricted => rule.IsRestricted;

        public bool HasPorts => !rule.Ports.IsEmpty;

        public bool AllowsPort(int port) => rule.Ports.IsEmpty || port == ConnectTarget.AnyPort || rule.Ports.Contains(port);

        public bool AllowsClient(string? client) =>
            rule.Clients.IsEmpty || client == ProxyUsers.Anyone || rule.Clients.Contains(client ?? ProxyUsers.Unnamed);

        public bool AllowsAnyPath => _paths.Length == 0;

        public bool AllowsQuery(AskedPath asked) => rule.Query.All(parameter => parameter.Matches(asked.Query));

        // HEAD is GET without the body (RFC 9110, 9.3.2). CONNECT inside a tunnel is how a WebSocket begins over HTTP/2 (RFC 8441),
        // where HTTP/1.1 has GET.
        public bool AllowsMethod(string method) => _methods.Count == 0 || _methods.Contains(method)
            || (method is "HEAD" or "CONNECT" && _methods.Contains("GET"));

        public bool AllowsPath(RequestPath path)
        {
            foreach (var glob in _paths)
            {
                if (glob.Matches(path))
                    return true;
            }

            return false;
        }
    }
}
