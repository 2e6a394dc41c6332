using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// Shows the project's shared cache at the places where tools keep theirs. Everybody with the volume can write there, so it is as
/// trustworthy as the least of its sessions.
/// </summary>
internal sealed class CacheMounts(Container container)
{
    private const int LargestFile = 1 << 20;
    private const int MostPaths = 64;

    private const string Step = "cache mounts";

    // Mounted whenever any is.
    private const string First = ".cache";

    /// <summary>Of the home.</summary>
    public static readonly ImmutableArray<string> Paths =
    [
        First, ".npm", ".pnpm-store", ".yarn", ".local/share/uv", "go/pkg/mod", ".cargo/registry", ".cargo/git", ".bundle", ".gem",
        ".m2/repository", ".gradle/caches", ".gradle/wrapper", ".nuget/packages", ".composer/cache", ".bun/install/cache",
        ".docker/buildx", ".ccache", ".vscode-server", ".cursor-server", ".zed_server",
    ];

    public Task RunAsync(CancellationToken cancellationToken)
    {
        var shared = container.Paths.SharedCache;

        // Only a real volume: a directory that something left behind would hide the caches of the home.
        if (!(container.Session.CacheEnabled ?? Mounts.TypeAt(shared) is not null))
            return Task.CompletedTask;
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        using var cache = data.OpenChild("cache");
        if (cache is null)
            return Task.CompletedTask;
        using var home = DirectoryHandle.OpenTrusted(container.Paths.Home);
        using var image = data.OpenChild(BaseHome.Name);
        foreach (var path in Paths.Concat(AdditionalPaths(home)).Distinct())
        {
            try
            {
                Mount(cache, home, image, path, cancellationToken);
            }
            catch (LibcException error) when (error.Number == LibcException.NotPermitted)
            {
                container.Log.Warning($"no caches are shown, as nothing can be mounted here: {error.Message}");
                break;
            }
            catch (Exception error) when (error is IOException or ArgumentException)
            {
                container.Log.Warning($"cache {path} not mounted: {error.Message}");
            }
        }

        return Task.CompletedTask;
    }

    /// <summary>The path within the home that an entry of <c>cache.json</c> names; null for one that is not strictly below it.</summary>
    public static string? Within(string path)
    {
        const string Home = "/home/discobot/";
        if (!path.StartsWith(Home, StringComparison.Ordinal) || path.Any(char.IsControl))
            return null;
        var parts = path[Home.Length..].Split('/', StringSplitOptions.RemoveEmptyEntries);
        return parts.Length == 0 || parts.Any(part => part is "." or "..") ? null : string.Join('/', parts);
    }

    // No link is followed on either side, and the mount is made between the directories that were opened.
    private void Mount(DirectoryHandle cache, DirectoryHandle home, DirectoryHandle? image, string path, CancellationToken cancellationToken)
    {
        using var source = cache.OpenOrCreate($"home/discobot/{path}", 0x1FF, Owner.Root);
        using var target = home.OpenOrCreate(path, 0x1ED, container.Agent.Owner);

        // It would be hidden; the image's content is for every session of the project.
        using var ofTheImage = image?.TryOpen(path);
        if (ofTheImage is not null)
            new TreeCopy(container.Agent.Owner) { OneFileSystem = true }.Run(ofTheImage, source, cancellationToken);
        Mounts.BindTo(source, target);
    }

    private List<string> AdditionalPaths(DirectoryHandle home)
    {
        try
        {
            using var directory = home.TryOpen("workspace/.discobot");
            if (directory?.ReadBytes("cache.json", LargestFile) is not { } bytes)
                return [];
            using var json = JsonDocument.Parse(bytes);
            var paths = new List<string>();
            foreach (var entry in json.RootElement.GetProperty("additionalPaths").EnumerateArray())
            {
                if (paths.Count == MostPaths)
                    throw new InvalidOperationException($"more than {MostPaths} paths");
                if (Within(entry.GetString() ?? "") is { } path)
                    paths.Add(path);
                else
                    container.Log.Warning($"cache.json: {entry} is not below /home/discobot");
            }

            return paths;
        }
        catch (Exception error) when (error is IOException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            container.Log.Warning($"workspace/.discobot/cache.json not used: {error.Message}");
            return [];
        }
    }

    /// <summary>Whether they are shown, where they are to be.</summary>
    public static Finding Check(SeenContainer seen)
    {
        var asked = seen.Environment.GetValueOrDefault("CACHE_ENABLED", "");
        if (asked == "false")
            return SeenContainer.Absent(Step, "CACHE_ENABLED is false");
        if (asked.Length == 0 ? Mounts.TypeAt(seen.Paths.SharedCache) is null : !Directory.Exists(seen.Paths.SharedCache))
            return SeenContainer.Absent(Step, $"no volume at {seen.Paths.SharedCache}");

        // A plain home is a link, and what is mounted in it stands where that leads.
        var first = RealPath.Below("/", Path.Combine(seen.Paths.Home, First));
        var isShown = Mounts.TypeAt(first) is not null;
        return !isShown && new FileInfo(seen.Paths.Home).LinkTarget is not null
            ? SeenContainer.Absent(Step, "the session's home is a plain directory, and nothing can be mounted here")
            : SeenContainer.Step(Step, isShown, first, Doctor.Restart);
    }
}
