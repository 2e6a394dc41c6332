using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Discobot.Features.Packages.Python;

/// <summary>What a path names in a Python index, which may lie below a prefix.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Prefix">What stands before it.</param>
/// <param name="Simple">What the index is called there: devpi's is <c>+simple</c>.</param>
/// <param name="Project">Its name in the one spelling that counts (PEP 503).</param>
/// <param name="Name">The file's name, without the suffix of what belongs to it; the version of a description of one.</param>
internal sealed partial record PythonAddress(PythonKind Kind, string Prefix, string Simple, string Project, string Name)
{
    private static readonly string[] Beside = [".metadata", ".asc", ".provenance"];
    private static readonly string[] Archives = [".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip"];

    public static bool TryParse(string path, [NotNullWhen(true)] out PythonAddress? address)
    {
        address = null;
        if (RegistryPath.Of(path) is not { } decoded)
            return false;
        if (Index().Match(decoded) is { Success: true } index)
            address = new PythonAddress(PythonKind.Index, index.Groups[1].Value, index.Groups[2].Value, Normalized(index.Groups[3].Value), "");
        else if (Description().Match(decoded) is { Success: true } told)
            address = new PythonAddress(PythonKind.Description, told.Groups[1].Value, "simple", Normalized(told.Groups[2].Value), told.Groups[3].Value);
        else if (Folder().Match(decoded) is { Success: true } folder && FileOf(decoded) is { } file)
            address = new PythonAddress(PythonKind.File, decoded[..folder.Index], folder.Value == "/packages/" ? "simple" : "+simple", file.Project, file.Name);
        return address is not null;
    }

    /// <summary>The path of the index that tells of the project.</summary>
    public string IndexPath => $"{Prefix}/{Simple}/{Project}/";

    /// <summary>The name that an index gives a file, and whose it is; null when it is no package's.</summary>
    public static (string Project, string Name, string Version)? FileOf(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        foreach (var suffix in Beside)
        {
            if (name.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
                name = name[..^suffix.Length];
        }

        if (name.EndsWith(".whl", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".egg", StringComparison.OrdinalIgnoreCase))
            return name.Split('-') is [{ Length: > 0 } project, var version, ..] ? (Normalized(project), name, version.Replace(".egg", "", StringComparison.OrdinalIgnoreCase)) : null;
        foreach (var suffix in Archives)
        {
            if (name.EndsWith(suffix, StringComparison.OrdinalIgnoreCase) && name.LastIndexOf('-') is var dash and > 0)
                return (Normalized(name[..dash]), name, name[(dash + 1)..^suffix.Length]);
        }

        return null;
    }

    private static string Normalized(string name) => Separators().Replace(name, "-").ToLowerInvariant();

    // devpi has its own files in one, and in the other those that it could not name by their digest.
    [GeneratedRegex("/(?:packages|\\+[fe])/", RegexOptions.CultureInvariant)]
    private static partial Regex Folder();

    [GeneratedRegex("^(.*)/(\\+?simple)/([A-Za-z0-9][A-Za-z0-9._-]*)/?$", RegexOptions.CultureInvariant)]
    private static partial Regex Index();

    [GeneratedRegex("^(.*)/pypi/([A-Za-z0-9][A-Za-z0-9._-]*)/(?:([^/]+)/)?json/?$", RegexOptions.CultureInvariant)]
    private static partial Regex Description();

    [GeneratedRegex("[-_.]+", RegexOptions.CultureInvariant)]
    private static partial Regex Separators();
}

/// <summary>What a path names.</summary>
internal enum PythonKind
{
    /// <summary><c>/simple/name/</c>: the files of a project (PEP 503, 691).</summary>
    Index,

    /// <summary><c>/pypi/name/json</c>, <c>/pypi/name/1.0/json</c>.</summary>
    Description,

    /// <summary>A wheel, a source archive, or what belongs to one.</summary>
    File,
}
