using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Packages.Npm;

/// <summary>
/// The files that documents have named lately, where their addresses do not tell of which version they are: registries may give them any
/// (<c>/download/left/2.0.0/abcdef</c>), and a lockfile repeats it. The first named go first.
/// </summary>
internal sealed class NpmTarballs
{
    /// <summary>Files of the newer half: with the older one some 15 MB.</summary>
    public const int MaxRecent = 25_000;

    private readonly Lock _lock = new();
    private Dictionary<string, NamedTarball> _recent = [];
    private Dictionary<string, NamedTarball> _former = [];

    /// <summary>Files remembered now.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _recent.Count + _former.Count;
        }
    }

    /// <param name="package">Whose document it is.</param>
    /// <param name="named">Each version with its file's address.</param>
    /// <param name="published">When each was published.</param>
    public void Remember(string package, IEnumerable<(string Version, string Address)> named, Dictionary<string, DateTimeOffset?> published)
    {
        foreach (var (version, address) in named)
        {
            if (!Uri.TryCreate(address, ProxiedRequest.AsSent, out var uri) || !uri.IsAbsoluteUri || uri.Scheme is not ("http" or "https")
                || RegistryPath.Of(uri.AbsolutePath) is not { } path || IsTold(path, package, version))
                continue;
            Remember(ConnectTarget.Normalize(uri.IdnHost) + path, new NamedTarball(package, version, published.GetValueOrDefault(version)));
        }
    }

    /// <summary>Whether a document has named what is asked for, by whatever scheme and port.</summary>
    public bool TryFind(ProxiedRequest request, out NamedTarball named)
    {
        named = default;
        if (RegistryPath.Of(request.Path) is not { } path)
            return false;
        lock (_lock)
            return TryFind(request.Target.Host + path, out named);
    }

    private bool TryFind(string address, out NamedTarball named) => _recent.TryGetValue(address, out named) || _former.TryGetValue(address, out named);

    private static bool IsTold(string path, string package, string version) =>
        NpmAddress.TryParse(path, out var address) && address.Package == package && address.Version == version;

    private void Remember(string address, NamedTarball named)
    {
        lock (_lock)
        {
            // As in PublishTimes: another document makes it no older.
            if (TryFind(address, out var known) && (known.Published is null || known.Published > named.Published))
                named = known;
            if (_recent.Count >= MaxRecent)
                (_former, _recent) = (_recent, []);
            _recent[address] = named;
        }
    }
}

/// <param name="Package">Whose file it is.</param>
/// <param name="Version">Of which version.</param>
/// <param name="Published">When that was; null where nobody tells.</param>
internal readonly record struct NamedTarball(string Package, string Version, DateTimeOffset? Published);
