using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Warming;

/// <summary>Cargo.lock: its TOML is written by cargo, one key a line. For each crate what <c>cargo fetch --locked</c> asks for.</summary>
internal static partial class CargoLock
{
    private const string Index = "https://index.crates.io";
    private const string Files = "https://static.crates.io/crates";

    // What cargo says, since its index is answered by that.
    private const string Accept = "text/plain";
    private const string Encoding = "deflate, gzip";
    private const string Agent = "cargo";

    public static IEnumerable<WarmItem> Read(string text)
    {
        var found = new List<WarmItem>();
        foreach (var package in text.Split("[[package]]").Skip(1))
        {
            var keys = Keys().Matches(package).DistinctBy(m => m.Groups[1].Value).ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value);
            if (!keys.TryGetValue("name", out var name) || !keys.TryGetValue("version", out var version))
                throw new FormatException("a package has no name or no version");
            // Those of the workspace itself have no source; those of git come from no registry.
            if (keys.GetValueOrDefault("source") is "registry+https://github.com/rust-lang/crates.io-index" or "sparse+https://index.crates.io/")
                found.Add(new WarmItem($"{name} {version}", Files: [IndexFile("config.json"), IndexFile(PathOf(name)), Crate(name, version, keys.GetValueOrDefault("checksum"))]));
        }

        return found;
    }

    // cargo, "Index files": one and two letters, three, and the rest, in lower case.
    private static string PathOf(string name) => name.ToLowerInvariant() switch
    {
        { Length: 1 } n => $"1/{n}",
        { Length: 2 } n => $"2/{n}",
        { Length: 3 } n => $"3/{n[0]}/{n}",
        var n => $"{n[..2]}/{n[2..4]}/{n}",
    };

    private static WarmFile IndexFile(string path) => new($"{Index}/{path}", Accept, Encoding, Agent);

    private static WarmFile Crate(string name, string version, string? checksum) =>
        new($"{Files}/{name}/{version}/download", "*/*", Encoding, Agent, Integrity.OfHex("sha256", checksum));

    [GeneratedRegex("""^(name|version|source|checksum) = "([^"\n]+)"\r?$""", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Keys();
}
