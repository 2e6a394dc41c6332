using System.Diagnostics.CodeAnalysis;

namespace Discobot.Features.Packages.Npm;

/// <summary>What a path names in an npm registry, which may lie below a prefix: <c>/npm/@scope/name/-/name-1.0.0.tgz</c>.</summary>
/// <param name="Prefix">What stands before the package.</param>
/// <param name="Package">Its name.</param>
/// <param name="Version">The version of a tarball; null of a document.</param>
internal sealed record NpmAddress(string Prefix, string Package, string? Version)
{
    /// <summary>The path of the document that lists the versions, as npm asks for it.</summary>
    public string DocumentPath => Prefix + "/" + Package.Replace("/", "%2f", StringComparison.Ordinal);

    /// <summary>Reads a path, however it is spelled.</summary>
    public static bool TryParse(string path, [NotNullWhen(true)] out NpmAddress? address)
    {
        address = null;
        if (RegistryPath.Of(path) is not { } decoded)
            return false;
        var services = decoded.IndexOf("/-/", StringComparison.Ordinal);
        var (document, file) = services < 0 ? (decoded, null) : (decoded[..services], decoded[(services + 3)..]);
        if (!TryName(document, out var prefix, out var name))
            return false;
        if (file is null)
        {
            address = new NpmAddress(prefix, name, null);
            return true;
        }

        // Some registries repeat the scope behind "/-/".
        var last = file[(file.LastIndexOf('/') + 1)..];
        var stem = name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..] + "-";
        if (!last.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase) || !last.StartsWith(stem, StringComparison.OrdinalIgnoreCase) || last.Length <= stem.Length + 4)
            return false;
        address = new NpmAddress(prefix, name, last[stem.Length..^4]);
        return true;
    }

    /// <summary>The same, of a tarball as cnpm had it: <c>/name/download/name-1.0.0.tgz</c>.</summary>
    public static bool TryParseDownload(string path, [NotNullWhen(true)] out NpmAddress? address)
    {
        const string Download = "/download/";
        address = null;
        return RegistryPath.Of(path) is { } decoded && !decoded.Contains("/-/", StringComparison.Ordinal)
            && decoded.LastIndexOf(Download, StringComparison.Ordinal) is > 0 and var at
            && TryParse($"{decoded[..at]}/-/{decoded[(at + Download.Length)..]}", out address);
    }

    /// <summary>The same, of a path that ends with a version or a tag: <c>/name/latest</c>.</summary>
    public static bool TryParseVersion(string path, [NotNullWhen(true)] out NpmAddress? address)
    {
        address = null;
        if (RegistryPath.Of(path) is not { } decoded)
            return false;
        var slash = decoded.LastIndexOf('/');
        if (slash <= 0 || !TryName(decoded[..slash], out var prefix, out var name))
            return false;
        address = new NpmAddress(prefix, name, decoded[(slash + 1)..]);
        return true;
    }

    /// <summary>The same, of the list of a package's tags: <c>/-/package/name/dist-tags</c>.</summary>
    public static bool TryParseTags(string path, [NotNullWhen(true)] out NpmAddress? address)
    {
        const string Before = "/-/package/", After = "/dist-tags";
        address = null;
        if (RegistryPath.Of(path) is not { } decoded || !decoded.EndsWith(After, StringComparison.Ordinal)
            || decoded.IndexOf(Before, StringComparison.Ordinal) is not (>= 0 and var services) || services + Before.Length >= decoded.Length - After.Length)
            return false;
        address = TryName(decoded[..services] + "/" + decoded[(services + Before.Length)..^After.Length], out var prefix, out var name) ? new NpmAddress(prefix, name, null) : null;
        return address is not null;
    }

    private static bool TryName(string path, out string prefix, out string name)
    {
        (prefix, name) = ("", "");
        var slash = path.LastIndexOf('/');
        if (slash < 0 || slash + 1 == path.Length)
            return false;
        var scope = slash == 0 ? -1 : path.LastIndexOf('/', slash - 1);
        var start = scope >= 0 && path[scope + 1] == '@' ? scope : slash;
        (prefix, name) = (path[..start], path[(start + 1)..]);
        // What has to be escaped again is in no prefix and no name.
        return path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '@' or '.' or '_' or '-' or '~');
    }
}
