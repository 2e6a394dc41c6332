using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// Recognises the addresses of package registries by the shape of path and request, not by hosts: mirrors and private registries count too. An
/// origin may always forbid by Cache-Control what a shape suggests.
/// </summary>
/// <remarks>
/// The expressions are compiled with the program: made at the start, without backtracking, they took 23 MB and 50 ms. What bounds their time instead is
/// <see cref="MaxPath"/>, as some of them are quadratic.
/// </remarks>
internal static partial class PackageRules
{
    /// <summary>What <c>cache.packages</c> may name.</summary>
    public static readonly ImmutableArray<string> Ecosystems = ["npm", "pypi", "crates", "go", "apt", "apk", "rpm", "maven", "gem", "conda", "huggingface", "github"];

    /// <summary>Characters of the longest path that is looked at; a package's has some hundreds.</summary>
    public const int MaxPath = 2048;

    private static readonly ImmutableArray<CacheRule> All =
    [
        .. Files("npm", NpmTarball(), path => IsOfVersion(path)),
        Metadata("npm", NpmDocument(), h => Accepts(h, "vnd.npm.install-v1+json") || IsFrom(h, "npm/", "yarn/", "pnpm/", "bun/")) with { Path = IsNoService },
        .. Files("pypi", PythonFile(), path => IsOfVersion(path)),
        Immutable("pypi", DevpiFile()),
        Metadata("pypi", PythonIndex()),
        Immutable("crates", CrateFile()),
        Metadata("crates", CrateIndex(), h => IsFrom(h, "cargo")),
        Immutable("go", GoVersion()),
        Immutable("go", GoTile()) with { Client = h => IsFrom(h, "Go-http-client") },
        Metadata("go", GoIndex()),
        Immutable("apt", DebianDigest()),
        .. Files("apt", DebianFile(), IsOfVersionAndStays),
        Always(Metadata("apt", DebianIndex())),
        // A repository that is one folder has no shape of its own: its client tells.
        .. Files("apt", FlatFile(), IsOfVersionAndStays).Select(r => r with { Client = IsApt }),
        Always(Metadata("apt", FlatIndex(), IsApt)),
        .. Files("apk", AlpinePackage(), IsOfVersionAndStays),
        Always(Metadata("apk", AlpineIndex())),
        Immutable("rpm", RpmDigest()),
        .. Files("rpm", RpmFile(), IsOfVersionAndStays),
        Always(Metadata("rpm", RpmIndex())),
        Metadata("maven", MavenIndex()),
        Immutable("maven", MavenFile()),
        .. Files("gem", GemFile(), path => IsOfVersion(path)),
        Metadata("gem", GemIndex(), h => IsFrom(h, "bundler", "ruby", "rubygems")) with { KeepsHead = true },
        // Where gem asks whether there is an index before it reads one, as some versions of it do.
        Metadata("gem", GemRoot(), h => IsFrom(h, "ruby, rubygems")) with { KeepsHead = true },
        .. Files("conda", CondaPackage(), IsOfVersionAndStays),
        Metadata("conda", CondaIndex()),
        Immutable("huggingface", ModelFileOfCommit()),
        Metadata("huggingface", ModelFile(), IsModelClient),
        Metadata("huggingface", ModelDescription(), IsModelClient),
        Metadata("github", ReleaseAsset()),
    ];

    /// <summary>The rules of some ecosystems.</summary>
    public static ImmutableArray<CacheRule> Of(ImmutableArray<string> ecosystems) => [.. All.Where(r => ecosystems.Contains(r.Ecosystem!))];

    // What has a version in its name is that for ever. "latest.zip" in the same place is another tomorrow: its origin is asked each time.
    private static CacheRule[] Files(string ecosystem, Regex pattern, Func<string, bool> isFixed) =>
        [Immutable(ecosystem, pattern) with { Path = isFixed }, Metadata(ecosystem, pattern) with { MaxAge = TimeSpan.Zero }];

    private static bool IsOfVersion(string path) => Version().IsMatch(path.AsSpan(path.LastIndexOf('/') + 1));

    // Who one is, what a search finds, and whether the registry is there (/-/whoami, /-/v1/search, /-/ping) is not said in its place; a package's tags are.
    private static bool IsNoService(string path) => !path.Contains("/-/", StringComparison.Ordinal)
        || (path.Contains("/-/package/", StringComparison.Ordinal) && path.EndsWith("/dist-tags", StringComparison.Ordinal));

    // Words for what moves on, where no version comes after them: libssl-dev_3.0 is one of libssl-dev.
    private static bool IsOfVersionAndStays(string path) => IsOfVersion(path) && !Moving().IsMatch(path.AsSpan(path.LastIndexOf('/') + 1));

    // A number that does not name an architecture: x86_64, linux-64, win32-64bit.
    private const string Number = "(?:[-_]|%5f|%2d)v?(?!(?:64|32|86)(?:bit)?(?:[-_.]|$))[0-9]";

    [GeneratedRegex(Number, RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Version();

    [GeneratedRegex("(?:^|[-_.])(?:(?:latest|nightly|daily|snapshot)(?=[-_.]|$)|(?:edge|master|main|trunk|current|unstable|dev|head)(?=[-_.]|$)(?!.*" + Number + "))",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Moving();

    private static CacheRule Immutable(string ecosystem, Regex pattern) =>
        new() { Ecosystem = ecosystem, Mode = CacheMode.Immutable, Pattern = pattern, MayGuess = false };

    // An origin that says nothing of a lifetime is asked each time: files of one index belong together, and a guess would mix old and new.
    private static CacheRule Metadata(string ecosystem, Regex pattern, Func<IHeaderDictionary, bool>? client = null) =>
        new() { Ecosystem = ecosystem, Mode = CacheMode.Revalidate, Pattern = pattern, MayGuess = false, Client = client };

    // The files of one distribution's index name each other's digests: one that is newer than the others breaks the client.
    private static CacheRule Always(CacheRule rule) => rule with { MaxAge = TimeSpan.Zero, IsOneOfSet = true };

    // Others have such paths, too.
    private static bool IsModelClient(IHeaderDictionary headers) => headers.UserAgent.ToString().Contains("hf_hub/", StringComparison.Ordinal);

    private static bool IsApt(IHeaderDictionary headers) => IsFrom(headers, "Debian APT");

    private static bool Accepts(IHeaderDictionary headers, string type) => headers.Accept.ToString().Contains(type, StringComparison.OrdinalIgnoreCase);

    private static bool IsFrom(IHeaderDictionary headers, params ReadOnlySpan<string> programs)
    {
        var agent = headers.UserAgent.ToString();
        foreach (var program in programs)
        {
            if (agent.StartsWith(program, StringComparison.OrdinalIgnoreCase))
                return true;
        }

        return false;
    }

    [GeneratedRegex(@"/-/[^/]+\.tgz$", RegexOptions.CultureInvariant)]
    private static partial Regex NpmTarball();

    // A package's document: "/name", "/@scope/name" or "/@scope%2fname", also below a mirror's prefix; what lies below "/-/" are services.
    [GeneratedRegex(@"^(?:/[A-Za-z0-9._~%@-]+)+$", RegexOptions.CultureInvariant)]
    private static partial Regex NpmDocument();

    [GeneratedRegex(@"/packages/.+\.(?:whl|egg|zip|tar\.gz|tar\.bz2|tar\.xz)(?:\.metadata|\.asc)?$", RegexOptions.CultureInvariant)]
    private static partial Regex PythonFile();

    // devpi names the folder by the file's SHA-256.
    [GeneratedRegex(@"/\+f/[0-9a-f]{3}/[0-9a-f]{13}/[^/]+\.(?:whl|egg|zip|tar\.gz|tar\.bz2|tar\.xz)(?:\.metadata|\.asc)?$", RegexOptions.CultureInvariant)]
    private static partial Regex DevpiFile();

    [GeneratedRegex(@"(?:/\+?simple/(?:[A-Za-z0-9._-]+/?)?|/pypi/[^/]+/(?:[^/]+/)?json)$", RegexOptions.CultureInvariant)]
    private static partial Regex PythonIndex();

    [GeneratedRegex(@"(?:\.crate|/crates/[^/]+/[^/]+/download)$", RegexOptions.CultureInvariant)]
    private static partial Regex CrateFile();

    [GeneratedRegex(@"(?:/config\.json|/[12]/[A-Za-z0-9_-]{1,2}|/3/[A-Za-z0-9_-]/[A-Za-z0-9_-]{3}|/[A-Za-z0-9_-]{2}/[A-Za-z0-9_-]{2}/[A-Za-z0-9_-]{4,})$", RegexOptions.CultureInvariant)]
    private static partial Regex CrateIndex();

    [GeneratedRegex(@"/@v/v[0-9]+\.[0-9]+\.[0-9]+[^/]*\.(?:zip|mod|info)$", RegexOptions.CultureInvariant)]
    private static partial Regex GoVersion();

    // A tile that is not full ("….p/37") holds what it holds for ever, too.
    [GeneratedRegex(@"/tile/8/(?:data|[0-9]{1,2})/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]+)?$", RegexOptions.CultureInvariant)]
    private static partial Regex GoTile();

    [GeneratedRegex(@"(?:/@v/list|/@latest|/@v/[^/]+\.(?:info|mod|zip))$", RegexOptions.CultureInvariant)]
    private static partial Regex GoIndex();

    [GeneratedRegex(@"/pool/.+\.(?:deb|udeb|ddeb|dsc|tar\.[a-z0-9]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex DebianFile();

    [GeneratedRegex(@"/[^/_]+_[^/_]+_[a-z0-9-]+\.u?deb$", RegexOptions.CultureInvariant)]
    private static partial Regex FlatFile();

    [GeneratedRegex(@"/(?:InRelease|Release|Release\.gpg|(?:Packages|Sources)(?:\.[a-z0-9]+)?)$", RegexOptions.CultureInvariant)]
    private static partial Regex FlatIndex();

    [GeneratedRegex(@"/by-hash/(?:SHA256|SHA512|SHA1|MD5Sum)/[0-9a-f]+$", RegexOptions.CultureInvariant)]
    private static partial Regex DebianDigest();

    [GeneratedRegex(@"/dists/.+/(?:InRelease|Release|Release\.gpg|(?:Packages|Sources|Contents-[a-z0-9-]+|Translation-[A-Za-z_]+)(?:\.[a-z0-9]+)?)$", RegexOptions.CultureInvariant)]
    private static partial Regex DebianIndex();

    [GeneratedRegex(@"/(?:x86_64|aarch64|x86|armhf|armv7|ppc64le|s390x|riscv64|noarch)/[^/]+\.apk$", RegexOptions.CultureInvariant)]
    private static partial Regex AlpinePackage();

    [GeneratedRegex(@"/APKINDEX\.tar\.gz$", RegexOptions.CultureInvariant)]
    private static partial Regex AlpineIndex();

    [GeneratedRegex(@"-[^/-]*[0-9][^/-]*-[^/-]*[0-9][^/-]*\.[a-z0-9_]+\.rpm$", RegexOptions.CultureInvariant)]
    private static partial Regex RpmFile();

    [GeneratedRegex(@"/repodata/[0-9a-f]{32,128}-[^/]+$", RegexOptions.CultureInvariant)]
    private static partial Regex RpmDigest();

    [GeneratedRegex(@"/repodata/repomd\.xml(?:\.asc|\.key)?$", RegexOptions.CultureInvariant)]
    private static partial Regex RpmIndex();

    [GeneratedRegex(@"(?:/maven-metadata\.xml(?:\.[a-z0-9]+)?|-SNAPSHOT/[^/]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex MavenIndex();

    // group/artifact/version/artifact-version: a file of a repository repeats the names of its folders.
    [GeneratedRegex(@"/[A-Za-z0-9._-]+/[0-9][A-Za-z0-9._+-]*/[A-Za-z0-9._-]+-[0-9][A-Za-z0-9._+-]*\.(?:jar|pom|aar|war|module)(?:\.(?:sha1|sha256|sha512|md5|asc))?$", RegexOptions.CultureInvariant)]
    private static partial Regex MavenFile();

    [GeneratedRegex(@"/gems/[^/]+\.gem$", RegexOptions.CultureInvariant)]
    private static partial Regex GemFile();

    [GeneratedRegex(@"/(?:versions|names|info/[^/]+|specs\.4\.8\.gz|latest_specs\.4\.8\.gz|prerelease_specs\.4\.8\.gz|quick/.+)$", RegexOptions.CultureInvariant)]
    private static partial Regex GemIndex();

    [GeneratedRegex(@"/$", RegexOptions.CultureInvariant)]
    private static partial Regex GemRoot();

    [GeneratedRegex(@"/(?:noarch|linux-[a-z0-9_]+|osx-[a-z0-9_]+|win-[a-z0-9_]+)/[^/]+\.(?:conda|tar\.bz2)$", RegexOptions.CultureInvariant)]
    private static partial Regex CondaPackage();

    [GeneratedRegex(@"/(?:noarch|linux-[a-z0-9_]+|osx-[a-z0-9_]+|win-[a-z0-9_]+)/(?:current_)?repodata(?:_shards)?\.(?:json|msgpack)(?:\.[a-z0-9]+)?$", RegexOptions.CultureInvariant)]
    private static partial Regex CondaIndex();

    // owner/name, of data sets and spaces behind a word. A commit's files never change; what a branch has is its host's to confirm. Large ones are redirects.
    [GeneratedRegex(@"^(?:/datasets|/spaces)?(?:/[A-Za-z0-9._-]+){1,2}/resolve/[0-9a-f]{40}/.+$", RegexOptions.CultureInvariant)]
    private static partial Regex ModelFileOfCommit();

    [GeneratedRegex(@"^(?:/datasets|/spaces)?(?:/[A-Za-z0-9._-]+){1,2}/resolve/[^/]+/.+$", RegexOptions.CultureInvariant)]
    private static partial Regex ModelFile();

    [GeneratedRegex(@"^/api/(?:models|datasets|spaces)(?:/[A-Za-z0-9._-]+){1,2}(?:/(?:revision|tree)/.+)?$", RegexOptions.CultureInvariant)]
    private static partial Regex ModelDescription();

    // An asset may be replaced, and each answer is a redirect to where it lies.
    [GeneratedRegex(@"^(?:/[A-Za-z0-9._-]+){2}/releases/(?:download/[^/]+|latest/download)/[^/]+$", RegexOptions.CultureInvariant)]
    private static partial Regex ReleaseAsset();
}
