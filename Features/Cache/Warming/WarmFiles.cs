namespace Discobot.Features.Cache.Warming;

/// <summary>The files in which a project says what it needs, known by their names.</summary>
internal static class WarmFiles
{
    private const long MaxBytes = 64 << 20;

    public const string Known = "Dockerfile, compose.yaml, package-lock.json, yarn.lock, pnpm-lock.yaml, requirements.txt, Cargo.lock or go.sum";

    /// <summary>Whether the name is one of those.</summary>
    public static bool IsKnown(string path) => ReaderOf(path) is not null;

    /// <summary>Reads what it names; nothing is fetched.</summary>
    /// <exception cref="IOException">It cannot be read, is of another kind, or is not what its name says.</exception>
    public static IReadOnlyList<WarmItem> Read(string path)
    {
        if (ReaderOf(path) is not { } read)
            throw new IOException($"{path} is none of {Known}");
        if (new FileInfo(path) is { Exists: true, Length: > MaxBytes })
            throw new IOException($"{path} is larger than 64 MiB");
        try
        {
            return [.. read(File.ReadAllText(path)).DistinctBy(i => i.Name)];
        }
        catch (Exception e) when (e is FormatException or System.Text.Json.JsonException or YamlDotNet.Core.YamlException)
        {
            throw new IOException($"{path} cannot be read as what its name says: {e.Message}", e);
        }
    }

    /// <summary>An image, once it is known to be one.</summary>
    public static WarmItem ImageItem(string reference) => new(reference, Image: reference);

    private static Func<string, IEnumerable<WarmItem>>? ReaderOf(string path)
    {
        var name = Path.GetFileName(path);
        return name switch
        {
            "package-lock.json" or "npm-shrinkwrap.json" => NpmLock.Read,
            "yarn.lock" => YarnLock.Read,
            "pnpm-lock.yaml" => PnpmLock.Read,
            "Cargo.lock" => CargoLock.Read,
            "go.sum" => GoSum.Read,
            _ when name.Contains("Dockerfile", StringComparison.OrdinalIgnoreCase) || name.Equals("Containerfile", StringComparison.Ordinal) => ImageFiles.ReadDockerfile,
            _ when name.EndsWith(".yaml", StringComparison.Ordinal) || name.EndsWith(".yml", StringComparison.Ordinal) =>
                name.Contains("compose", StringComparison.OrdinalIgnoreCase) ? ImageFiles.ReadCompose : null,
            _ when name.StartsWith("requirements", StringComparison.Ordinal) && name.EndsWith(".txt", StringComparison.Ordinal) => PythonRequirements.Read,
            _ => null,
        };
    }
}
