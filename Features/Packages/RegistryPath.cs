namespace Discobot.Features.Packages;

/// <summary>The path of a request as a registry may read it: what is escaped stands for itself, doubled slashes and dots are resolved, and a slash at the end
/// names the same. A version that is kept back has no other spelling.</summary>
internal static class RegistryPath
{
    private const int MaxPath = 2048;

    /// <summary>Begins with a slash, and ends with none; null for what is longer than any name of a package.</summary>
    public static string? Of(string path)
    {
        var segments = new List<string>();
        foreach (var segment in Uri.UnescapeDataString(path).Split('/', '\\'))
        {
            if (segment == "..")
                segments.RemoveRange(Math.Max(0, segments.Count - 1), Math.Min(1, segments.Count));
            else if (segment is not ("" or "."))
                segments.Add(segment);
        }

        var resolved = "/" + string.Join('/', segments);
        return resolved.Length > MaxPath ? null : resolved;
    }
}
