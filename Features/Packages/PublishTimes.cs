namespace Discobot.Features.Packages;

/// <summary>What registries have told lately of when the versions or files of packages were published. The least recently used go first.</summary>
internal sealed class PublishTimes
{
    /// <summary>Versions remembered, of all packages together: some 15 MB.</summary>
    private const int MaxVersions = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<Package>> _packages = [];
    private readonly LinkedList<Package> _byUse = [];
    private int _versions;

    /// <summary>Versions remembered now.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _versions;
        }
    }

    /// <param name="package">Where it is described: an address, so that no registry speaks of another's packages.</param>
    /// <param name="times">Of each version; null of one whose time it does not tell.</param>
    public void Remember(string package, IReadOnlyDictionary<string, DateTimeOffset?> times)
    {
        lock (_lock)
        {
            times = Youngest(package, times);
            Forget(package);
            if (times.Count == 0 || times.Count > MaxVersions)
                return;
            _packages[package] = _byUse.AddFirst(new Package(package, times));
            _versions += times.Count;
            while (_versions > MaxVersions)
                Forget(_byUse.Last!.Value.Address);
        }
    }

    /// <summary>Whether a version is known, and its time, if that is.</summary>
    public bool TryFind(string package, string version, out DateTimeOffset? published)
    {
        lock (_lock)
        {
            published = null;
            if (!_packages.TryGetValue(package, out var node))
                return false;
            _byUse.Remove(node);
            _byUse.AddFirst(node);
            return node.Value.Times.TryGetValue(version, out published);
        }
    }

    // Several indexes may list one file. What one says makes it no older than another said: else anybody's index would vouch for a young one.
    private IReadOnlyDictionary<string, DateTimeOffset?> Youngest(string package, IReadOnlyDictionary<string, DateTimeOffset?> times)
    {
        if (!_packages.TryGetValue(package, out var node))
            return times;
        var both = new Dictionary<string, DateTimeOffset?>(node.Value.Times);
        foreach (var (version, published) in times)
            both[version] = both.GetValueOrDefault(version) is { } known && (published is null || known > published) ? known : published;
        return both;
    }

    private void Forget(string package)
    {
        if (!_packages.Remove(package, out var node))
            return;
        _byUse.Remove(node);
        _versions -= node.Value.Times.Count;
    }

    private sealed record Package(string Address, IReadOnlyDictionary<string, DateTimeOffset?> Times);
}
