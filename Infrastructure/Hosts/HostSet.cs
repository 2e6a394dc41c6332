namespace Discobot.Infrastructure.Hosts;

/// <summary>Some hosts, named by patterns.</summary>
internal sealed class HostSet(IEnumerable<HostPattern> patterns)
{
    private readonly HostPatternSet<bool> _patterns = new(patterns.Select(pattern => KeyValuePair.Create(pattern, true)));

    public bool Contains(string host) =>
        _patterns.Count > 0 && CanonicalHost.TryParse(host, out var canonical) && _patterns.TryFind(canonical, out _);
}
