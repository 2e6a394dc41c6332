namespace Discobot.Features.Configuration;

/// <summary>How two absolute paths lie to each other, by their text alone.</summary>
internal static class PathRelation
{
    public static bool IsBelow(string path, string directory) =>
        Path.TrimEndingDirectorySeparator(path).StartsWith(Path.TrimEndingDirectorySeparator(directory) + "/", StringComparison.Ordinal);

    /// <summary>Whether they are the same, or one lies below the other.</summary>
    public static bool Overlap(string a, string b) =>
        IsBelow(a, b) || IsBelow(b, a) || Path.TrimEndingDirectorySeparator(a) == Path.TrimEndingDirectorySeparator(b);
}
