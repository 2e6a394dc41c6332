using System.Net;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist.Learning;

/// <summary>
/// What passed in learn mode: each host, method and path once, no queries, no headers. Bounded: what does not fit is counted as
/// "more", and export then widens rather than forgets.
/// </summary>
internal sealed class LearnedTraffic
{
    public const int MaxHosts = 5_000;
    public const int MaxPathsPerMethod = 1_000;
    public const int MaxPaths = 50_000;

    /// <summary>Characters of all paths together, so that the file that keeps them stays small: 8 Mi.</summary>
    public const int MaxText = 8 << 20;

    private const int MaxPathLength = 2_000;
    private const int MaxMethods = 16;
    private const int MaxPorts = 64;
    private const int MaxAddresses = 1_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Host> _hosts = new(StringComparer.Ordinal);
    private readonly HashSet<IPAddress> _addresses = [];
    private int _paths;
    private int _text;
    private long _changes;
    private bool _isIncomplete;

    /// <summary>Differs when more is known.</summary>
    public long Changes => Interlocked.Read(ref _changes);

    /// <summary>A tunnel that will be looked into: the requests inside say more.</summary>
    public void RecordTunnel(in CanonicalHost host)
    {
        lock (_lock)
            Find(host);
    }

    /// <summary>A tunnel nobody looks into: the host as a whole is needed.</summary>
    public void RecordBlindTunnel(in CanonicalHost host)
    {
        lock (_lock)
        {
            if (Find(host) is not { IsBlind: false } found)
                return;
            found.IsBlind = true;
            _changes++;
        }
    }

    /// <summary>A tunnel with neither HTTP nor TLS in it: everything at that port is needed.</summary>
    public void RecordRawTunnel(in CanonicalHost host, int port)
    {
        lock (_lock)
        {
            if (Find(host) is not { } found || found.Ports.Contains(port))
                return;
            if (found.Ports.Count >= MaxPorts)
                NoteIncomplete();
            else if (found.Ports.Add(port))
                _changes++;
        }
    }

    public void RecordRequest(in CanonicalHost host, string method, string path)
    {
        lock (_lock)
        {
            if (Find(host) is not { } found)
                return;
            if (!found.Methods.TryGetValue(method, out var paths))
            {
                if (found.Methods.Count >= MaxMethods || method.Length > 32)
                {
                    NoteIncomplete();
                    return;
                }

                found.Methods[method] = paths = new Paths();
                _changes++;
            }

            if (paths.Known.Contains(path) || paths.HasMore)
                return;
            if (paths.Known.Count >= MaxPathsPerMethod || _paths >= MaxPaths || path.Length > MaxPathLength || path.Length > MaxText - _text)
                paths.HasMore = true;
            else if (paths.Known.Add(path))
                (_paths, _text) = (_paths + 1, _text + path.Length);
            _changes++;
        }
    }

    /// <summary>An address a name resolved to: only those that need an entry of their own are kept.</summary>
    public void RecordAddress(IPAddress dialled)
    {
        foreach (var destination in EmbeddedAddresses.Of(dialled))
        {
            if (SpecialAddresses.ClassifyPlain(destination) == AddressKind.Public)
                continue;
            lock (_lock)
            {
                var address = CanonicalHost.Of(destination).Address!;
                if (_addresses.Contains(address))
                    continue;
                if (_addresses.Count >= MaxAddresses)
                    NoteIncomplete();
                else if (_addresses.Add(address))
                    _changes++;
            }
        }
    }

    /// <summary>Everything so far, in a fixed order.</summary>
    public LearnedReport Report()
    {
        lock (_lock)
        {
            var hosts = _hosts.OrderBy(h => h.Key, StringComparer.Ordinal).Select(h => new LearnedHost(
                h.Key,
                h.Value.IsLiteral,
                h.Value.IsBlind,
                [.. h.Value.Methods.OrderBy(m => m.Key, StringComparer.Ordinal).Select(m => new LearnedMethod(
                    m.Key, [.. m.Value.Known.Order(StringComparer.Ordinal)], m.Value.HasMore))])
            {
                Ports = h.Value.Ports.Count == 0 ? null : [.. h.Value.Ports],
            });
            return new LearnedReport([.. hosts], [.. _addresses.Select(a => a.ToString()).Order(StringComparer.Ordinal)], _isIncomplete);
        }
    }

    /// <summary>Adds what was known before a restart.</summary>
    public void Restore(LearnedReport report)
    {
        foreach (var host in report.Hosts)
        {
            // A file that somebody changed may hold nothing where a host should be.
            if (host is null || !CanonicalHost.TryParse(host.Host, out var name))
                continue;
            RecordTunnel(name);
            if (host.Blind)
                RecordBlindTunnel(name);
            foreach (var port in host.Ports?.Where(p => p is > 0 and <= 65535) ?? [])
                RecordRawTunnel(name, port);
            foreach (var method in host.Methods.Where(m => m is not null))
                Restore(name, method);
        }

        foreach (var address in report.Addresses)
        {
            if (IPAddress.TryParse(address, out var known))
                RecordAddress(known);
        }

        lock (_lock)
            _isIncomplete |= report.Incomplete;
    }

    private void Restore(in CanonicalHost host, LearnedMethod method)
    {
        foreach (var path in method.Paths.Where(p => p is not null))
            RecordRequest(host, method.Method, path);
        lock (_lock)
        {
            // There were paths, or a single one that was too long to be kept.
            if (method.More && Find(host) is { } found)
                (found.Methods.TryGetValue(method.Method, out var paths) ? paths : found.Methods[method.Method] = new Paths()).HasMore = true;
        }
    }

    private void NoteIncomplete()
    {
        if (!_isIncomplete)
            _changes++;
        _isIncomplete = true;
    }

    private Host? Find(in CanonicalHost host)
    {
        if (_hosts.TryGetValue(host.Name, out var found))
            return found;
        if (_hosts.Count >= MaxHosts)
        {
            NoteIncomplete();
            return null;
        }

        _changes++;
        return _hosts[host.Name] = new Host { IsLiteral = host.IsLiteral };
    }

    private sealed class Host
    {
        public bool IsLiteral { get; init; }

        public bool IsBlind { get; set; }

        public SortedSet<int> Ports { get; } = [];

        public Dictionary<string, Paths> Methods { get; } = new(StringComparer.Ordinal);
    }

    private sealed class Paths
    {
        public HashSet<string> Known { get; } = new(StringComparer.Ordinal);

        public bool HasMore { get; set; }
    }
}
