using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

/// <summary>
/// The entries of <c>allowlist.deny</c>, which win over every entry that allows, and hold whether the allowlist is enabled or not. Where an entry speaks of
/// methods or paths and nobody can see them, or of a path that servers read in several ways, it denies: a doubt is not a way round it.
/// </summary>
internal sealed class DenyRules
{
    private readonly HostPatternSet<Entry> _entries;

    public DenyRules(ImmutableArray<DomainRule> rules) => _entries = new(rules.Select(r => KeyValuePair.Create(r.Host, new Entry(r))));

    /// <summary>Whether an entry denies all of a host. <see cref="ConnectTarget.AnyPort"/>: at every port.</summary>
    public EgressVerdict? JudgeHost(in CanonicalHost host, int port) => Find(host, e => !e.IsRestricted && e.IsFor(port));

    /// <summary>Whether an entry may deny some of what goes to a host, and nobody sees what it is.</summary>
    public EgressVerdict? JudgeBlind(in CanonicalHost host, int port) => Find(host, e => e.IsFor(port));

    public EgressVerdict? JudgeRequest(in CanonicalHost host, int port, string method, AskedPath asked) =>
        Find(host, e => e.IsFor(port) && e.IsForMethod(method) && (e.IsForAnyPath || e.IsForPath(asked.Path)) && e.IsForQuery(asked));

    /// <summary>Whether an entry denies an address that a name has, or one that is embedded in it.</summary>
    public EgressVerdict? JudgeAddress(IPAddress address, int port)
    {
        foreach (var destination in EmbeddedAddresses.Of(address))
        {
            if (JudgeHost(CanonicalHost.Of(destination), port) is { } verdict)
                return verdict;
        }

        return null;
    }

    private EgressVerdict? Find(in CanonicalHost host, Func<Entry, bool> denies)
    {
        foreach (var entry in _entries.FindAll(host))
        {
            if (denies(entry))
                return EgressVerdict.Refuse($"{AllowlistRules.Denied}{entry.Text}", $"{host} is denied by the entry {entry.Text} of allowlist.deny, which counts before every entry that allows.");
        }

        return null;
    }

    private sealed class Entry(DomainRule rule)
    {
        private readonly FrozenSet<string> _methods = rule.Methods.ToFrozenSet(StringComparer.Ordinal);
        private readonly PathGlob[] _paths = [.. rule.Paths.Select(PathGlob.Parse)];

        public string Text { get; } = rule.ToString();

        public bool IsRestricted => rule.IsRestricted;

        public bool IsForAnyPath => _paths.Length == 0;

        public bool IsFor(int port) => rule.Ports.IsEmpty || rule.Ports.Contains(port);

        // As for entries that allow: HEAD is GET without the body, and so begins a WebSocket over HTTP/2.
        public bool IsForMethod(string method) => _methods.Count == 0 || _methods.Contains(method) || (method is "HEAD" or "CONNECT" && _methods.Contains("GET"));

        public bool IsForQuery(AskedPath asked) => rule.Query.All(parameter => parameter.MayMatch(asked.Query));

        public bool IsForPath(RequestPath path) => Array.Exists(_paths, glob => glob.MayMatch(path));
    }
}
