using Discobot.Infrastructure.Native;

namespace Discobot.Features.TrustStore;

/// <summary>How one family of distributions takes a CA into its trust store. Paths are relative to the root of the file system.</summary>
/// <param name="Name">As shown to people.</param>
/// <param name="Signs">One of them exists where the family is at home; the directory of anchors comes first.</param>
/// <param name="Tool">The program that rebuilds the store; empty: there is none, the bundles are edited.</param>
/// <param name="Arguments">Its arguments after an anchor was added.</param>
/// <param name="Renewal">Its arguments after an anchor was replaced or removed.</param>
/// <param name="Bundles">The files every program reads, the first that exists is read back.</param>
internal sealed record TrustFamily(
    string Name, string[] Signs, string Tool, string[] Arguments, string[] Renewal, string[] Bundles)
{
    /// <summary>The name of our anchor everywhere; Debian's tool wants <c>.crt</c>.</summary>
    public const string AnchorName = "discobot-proxy-ca.crt";

    // The tool's name alone decides nothing: SUSE's is called as Debian's, Arch's as Fedora's, and each ignores the other's anchors.
    // Debian's tool forgets the links of an anchor that went away unless it starts afresh. Order: the more particular signs first.
    private static readonly TrustFamily[] WithTool =
    [
        new("Alpine", ["etc/alpine-release"], "update-ca-certificates", [], [], ["etc/ssl/certs/ca-certificates.crt", "etc/ssl/cert.pem"])
        {
            Anchors = "usr/local/share/ca-certificates",
        },
        new("SUSE", ["etc/pki/trust/anchors", "usr/share/pki/trust"], "update-ca-certificates", [], [],
            ["var/lib/ca-certificates/ca-bundle.pem", "etc/ssl/ca-bundle.pem"]),
        new("Debian/Ubuntu", ["usr/local/share/ca-certificates", "etc/ca-certificates.conf"], "update-ca-certificates", [], ["--fresh"],
            ["etc/ssl/certs/ca-certificates.crt"]),
        new("Fedora/RHEL", ["etc/pki/ca-trust/source/anchors", "etc/pki/ca-trust"], "update-ca-trust", ["extract"], ["extract"],
            ["etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "etc/pki/tls/certs/ca-bundle.crt"]),
        new("Arch", ["etc/ca-certificates/trust-source/anchors", "etc/ca-certificates/trust-source"], "update-ca-trust", [], [],
            ["etc/ca-certificates/extracted/tls-ca-bundle.pem", "etc/ssl/certs/ca-certificates.crt"]),
    ];

    private static readonly TrustFamily NoTool = new(
        "no tool", [], "", [], [], [.. WithTool.SelectMany(family => family.Bundles).Distinct()]);

    // Where distributions keep such tools; PATH is not asked, since it may hold somebody else's.
    private static readonly string[] ToolDirectories = ["usr/sbin", "usr/bin", "sbin", "bin"];

    /// <summary>False for the family of those that have none.</summary>
    public bool HasTool => Tool.Length > 0;

    /// <summary>Where the anchor goes.</summary>
    public string Anchors { get; init; } = Signs.Length > 0 ? Signs[0] : "";

    /// <summary>The family at home below <paramref name="root"/>: a sign of it exists and so does its tool.</summary>
    public static TrustFamily Detect(string root) => WithTool.FirstOrDefault(family => family.IsAtHome(root)) ?? NoTool;

    /// <summary>Where the distribution that <paramref name="root"/> says it is will look for anchors once its tool is installed; null when it is
    /// none of these, or has a tool already, which would make a bundle of that anchor alone where the rest of its package is gone.</summary>
    public static string? FutureAnchor(string root)
    {
        if (WithTool.Any(family => family.FindTool(root) is not null))
            return null;
        var words = OsRelease(Path.Combine(root, "etc/os-release")) ?? OsRelease(Path.Combine(root, "usr/lib/os-release")) ?? [];
        return words.Select(AnchorsOf).FirstOrDefault(anchors => anchors is not null) is { } found ? Path.Combine(root, found, AnchorName) : null;
    }

    // os-release(5): the distribution and those it descends from.
    private static string[]? OsRelease(string path) => !File.Exists(path) || !RegularFile.IsOrMissing(path) ? null :
        [.. File.ReadLines(path).Where(line => line.StartsWith("ID=", StringComparison.Ordinal) || line.StartsWith("ID_LIKE=", StringComparison.Ordinal))
            .OrderBy(line => line.Length > 3 && line[2] == '=' ? 0 : 1).SelectMany(line => line[(line.IndexOf('=', StringComparison.Ordinal) + 1)..].Trim('"', '\'').Split(' '))];

    private static string? AnchorsOf(string distribution) => distribution switch
    {
        "debian" or "ubuntu" or "alpine" => "usr/local/share/ca-certificates",
        "fedora" or "rhel" or "centos" or "amzn" => "etc/pki/ca-trust/source/anchors",
        "suse" or "opensuse" or "sles" => "etc/pki/trust/anchors",
        "arch" => "etc/ca-certificates/trust-source/anchors",
        _ => null,
    };

    /// <summary>Every place below <paramref name="root"/> in which any family would keep our anchor.</summary>
    public static IEnumerable<string> AnchorPaths(string root) =>
        WithTool.Select(family => Path.Combine(root, family.Anchors, AnchorName)).Distinct();

    /// <summary>The bundles of every family that exist below <paramref name="root"/>.</summary>
    public static IReadOnlyList<string> AllBundles(string root) => NoTool.FindBundles(root);

    /// <summary>The tool's full path, or null.</summary>
    public string? FindTool(string root) => !HasTool
        ? null
        : ToolDirectories.Select(directory => Path.Combine(root, directory, Tool)).FirstOrDefault(File.Exists);

    /// <summary>The bundles that exist, with links resolved, each once.</summary>
    public IReadOnlyList<string> FindBundles(string root) =>
        [.. Bundles.Select(bundle => RealPath.Below(root, bundle)).Where(path => File.Exists(path) && RegularFile.IsOrMissing(path)).Distinct()];

    private bool IsAtHome(string root) => Signs.Any(sign => Path.Exists(Path.Combine(root, sign))) && FindTool(root) is not null;
}
