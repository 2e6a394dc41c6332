using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Discobot.Features.Packages.Crates;

/// <summary>What a path names in a registry of crates: a file of its sparse index, or a crate.</summary>
/// <param name="Crate">Its name, in lower case.</param>
/// <param name="Version">The version of a download; null of the index's file.</param>
internal sealed partial record CrateAddress(string Crate, string? Version)
{
    /// <summary>The path of the index's file below the index's own (Cargo Book, "Index files").</summary>
    public string IndexPath => "/" + Crate.Length switch
    {
        1 => $"1/{Crate}",
        2 => $"2/{Crate}",
        3 => $"3/{Crate[0]}/{Crate}",
        _ => $"{Crate[..2]}/{Crate[2..4]}/{Crate}",
    };

    public static bool TryParse(string path, [NotNullWhen(true)] out CrateAddress? address)
    {
        address = null;
        if (RegistryPath.Of(path) is not { } decoded)
            return false;
        if (File().Match(decoded) is { Success: true } file && file.Groups[2].Value.StartsWith(file.Groups[1].Value + "-", StringComparison.OrdinalIgnoreCase))
            address = new CrateAddress(file.Groups[1].Value.ToLowerInvariant(), file.Groups[2].Value[(file.Groups[1].Length + 1)..]);
        else if (Download().Match(decoded) is { Success: true } download)
            address = new CrateAddress(download.Groups[1].Value.ToLowerInvariant(), download.Groups[2].Value);
        else if (Name().Match(decoded) is { Success: true } name && new CrateAddress(name.Groups[1].Value.ToLowerInvariant(), null) is var index
            && decoded.EndsWith(index.IndexPath, StringComparison.OrdinalIgnoreCase))
            address = index;
        return address is not null;
    }

    [GeneratedRegex("/([A-Za-z0-9][A-Za-z0-9_-]{0,63})/([^/]+)\\.crate$", RegexOptions.CultureInvariant)]
    private static partial Regex File();

    [GeneratedRegex("/([A-Za-z0-9][A-Za-z0-9_-]{0,63})/([0-9][^/]*)/download$", RegexOptions.CultureInvariant)]
    private static partial Regex Download();

    [GeneratedRegex("/([A-Za-z0-9][A-Za-z0-9_-]{0,63})$", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
