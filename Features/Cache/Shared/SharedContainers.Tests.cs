using System.Net;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Shared;

/// <summary>Several containers' caches over one shared directory, and the origin of the first for all.</summary>
internal sealed class SharedContainers : IAsyncDisposable
{
    public string Shared { get; } = Directory.CreateTempSubdirectory("discobot-shared-").FullName;

    public List<CacheStage> All { get; } = [];

    public CacheStage First => All[0];

    public static async Task<SharedContainers> StartAsync(int count)
    {
        var containers = new SharedContainers();
        while (containers.All.Count < count)
            containers.All.Add(await CacheStage.StartAsync(o => o with { Shared = containers.Shared }));
        return containers;
    }

    public string FileOf(byte[] body) => Path.Join(Shared, "sha256", TemporaryCache.HexOf(body)[..2], TemporaryCache.HexOf(body));

    public string LeaseOf(byte[] body) => Path.Join(Shared, "leases", DownloadLease.NameOf(Digest(body), $"http://{First.Authority}"));

    public static Hash256 Digest(byte[] body) => Hash256.TryParse(TemporaryCache.HexOf(body), out var digest) ? digest : throw new ArgumentException("no digest", nameof(body));

    /// <summary>Gets a body by a container and checks its bytes.</summary>
    public Task ExpectAsync(int container, string cache, byte[] body) => All[container].ExpectAsync(cache, body, First.Blob(body));

    /// <summary>Waits until a body has its name in the shared directory.</summary>
    public Task PlacedAsync(byte[] body) => CacheStage.EventuallyAsync(() => File.Exists(FileOf(body)));

    /// <summary>The methods that reached the origin, those of one path each.</summary>
    public string[] Asked(byte[] body) => [.. First.Asked.Where(a => a.Contains(TemporaryCache.HexOf(body), StringComparison.Ordinal)).Select(a => a.Split(' ')[0])];

    public string[] Files() => [.. Directory.EnumerateFileSystemEntries(Shared, "*", SearchOption.AllDirectories).Where(f => !Directory.Exists(f)).Select(f => Path.GetRelativePath(Shared, f)).Order()];

    public SharedStatistics Stats(int container) => All[container].Stats.SharedVolume!;

    public async ValueTask DisposeAsync()
    {
        foreach (var stage in Enumerable.Reverse(All))
            await stage.DisposeAsync();
        if (Directory.Exists(Shared))
            Directory.Delete(Shared, recursive: true);
    }
}
