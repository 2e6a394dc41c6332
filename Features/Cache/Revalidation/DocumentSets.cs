using System.Collections.Concurrent;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// Remembers when the document of a distribution that names the digests of the others (Release, repomd.xml) was last replaced: what was confirmed
/// before that belongs to the former one, and apt would take both together for an attack.
/// </summary>
/// <remarks>In memory: after a restart, an origin that answers in part may be mixed with what is stored until its clients ask again.</remarks>
internal sealed class DocumentSets
{
    private const int MaxRemembered = 1000;
    private const string Dists = "/dists/";

    private readonly ConcurrentDictionary<string, long> _replaced = new(StringComparer.Ordinal);

    /// <summary>Notes that an answer takes the place of what is stored.</summary>
    /// <param name="address">As of <see cref="Variants.AddressOf"/>.</param>
    /// <param name="at">Milliseconds of Unix time.</param>
    public void Note(string address, long at)
    {
        if (!IsFirst(address))
            return;
        if (_replaced.Count >= MaxRemembered)
            _replaced.Clear();
        _replaced[SetOf(address)] = at;
    }

    /// <summary>Whether what was confirmed at that time is older than the document that names its digest.</summary>
    public bool IsOvertaken(string address, long confirmedAt) =>
        !IsFirst(address) && _replaced.TryGetValue(SetOf(address), out var replaced) && confirmedAt < replaced;

    private static bool IsFirst(string address) => PathOf(address) is var path
        && (path.EndsWith("/InRelease", StringComparison.Ordinal) || path.EndsWith("/Release", StringComparison.Ordinal) || path.EndsWith("/repomd.xml", StringComparison.Ordinal));

    // apt: the distribution, and those below it (stable/updates) with it. Others: the folder.
    private static string SetOf(string address)
    {
        var path = PathOf(address);
        var dists = path.IndexOf(Dists, StringComparison.Ordinal);
        var end = dists < 0 ? path.LastIndexOf('/') : path.IndexOf('/', dists + Dists.Length);
        return end < 0 ? path : path[..end];
    }

    private static string PathOf(string address) => address.Split('?', '#')[0];
}
