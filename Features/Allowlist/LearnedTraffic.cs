using System.Net;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist;

/// <summary>
/// What passed in learn mode: each host, method and path once, no queries, no headers. Bounded: what does not fit is counted as
/// "more", and export then widens rather than forgets.
/// </summary>
internal sealed class LearnedTraffic
{
    public const int MaxHosts = 5_000;
    public const int MaxPathsPerMethod = 1_000;
    public const int MaxPaths = 50_000;
    private const int MaxPathLength = 2_000;
    private const int MaxMethods = 16;
    private const int MaxAddresses = 1_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Host> _hosts = new(StringComparer.Ordinal);
    private readonly HashSet<IPAddress> _addresses = [];
    private int _paths;
    private bool _isIncomplete;

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
            if (Find(host) is { } found)
                found.IsBlind = true;
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
                    _isIncomplete = true;
                    return;
                }

                found.Methods[method] = paths = new Paths();
            }

            if (paths.Known.Contains(path) || paths.HasMore)
                return;
            if (paths.Known.Count >= MaxPathsPerMethod || _paths >= MaxPaths || path.Length > MaxPathLength)
                paths.HasMore = true;
            else if (paths.Known.Add(path))
                _paths++;
        }
    }

    /// <summary>An address a name resolved to: only those that need an entry of their own are kept.</summary>
    public void RecordAddress(IPAddress address)
    {
        foreach (var destination in EmbeddedAddresses.Of(address))
        {
            if (SpecialAddresses.ClassifyPlain(destination) == AddressKind.Public)
                continue;
            lock (_lock)
            {
                if (_addresses.Count < MaxAddresses)
                    _addresses.Add(CanonicalHost.Of(destination).Address!);
                else
                    _isIncomplete |= !_addresses.Contains(destination);
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
                    m.Key, [.. m.Value.Known.Order(StringComparer.Ordinal)], m.Value.HasMore))]));
            return new LearnedReport([.. hosts], [.. _addresses.Select(a => a.ToString()).Order(StringComparer.Ordinal)], _isIncomplete);
        }
    }

    private Host? Find(in CanonicalHost host)
    {
        if (_hosts.TryGetValue(host.Name, out var found))
            return found;
        if (_hosts.Count >= MaxHosts)
        {
            _isIncomplete = true;
            return null;
        }

        return _hosts[host.Name] = new Host { IsLiteral = host.IsLiteral };
    }

    private sealed class Host
    {
        public bool IsLiteral { get; init; }

        public bool IsBlind { get; set; }

        public Dictionary<string, Paths> Methods { get; } = new(StringComparer.Ordinal);
    }

    private sealed class Paths
    {
        public HashSet<string> Known { get; } = new(StringComparer.Ordinal);

        public bool HasMore { get; set; }
    }
}
