using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure.Wire.Trust;

/// <summary>
/// The roots that upstream servers are verified against. OpenSSL linked into the executable looks below the path it was built
/// with, which is right on one distribution only, so the distribution's own bundle is looked for here.
/// </summary>
internal static class SystemRoots
{
    // First that exists wins. Debian, Alpine and Arch; Fedora and RHEL; Fedora's compatibility link; SUSE; Arch; Alpine's OpenSSL.
    private static readonly string[] BundleFiles =
    [
        "etc/ssl/certs/ca-certificates.crt",
        "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "etc/pki/tls/certs/ca-bundle.crt",
        "etc/ssl/ca-bundle.pem",
        "etc/ca-certificates/extracted/tls-ca-bundle.pem",
        "etc/ssl/cert.pem",
    ];

    // Only when there is no bundle: single files, one certificate each.
    private static readonly string[] BundleDirectories = ["etc/ssl/certs", "etc/pki/tls/certs"];

    /// <summary>Loads the roots once: the files that are named at once, the system's beside what else is to be done, as a usual bundle takes
    /// as long as a third of the whole start.</summary>
    /// <param name="extraCaFiles">PEM files trusted besides the system's (<c>tls.extra_ca</c>); these must be readable.</param>
    /// <param name="logger">Told what was loaded and what could not be.</param>
    /// <param name="exceptFingerprint">
    /// SHA-256 of our own CA, lower-case hex. It sits in the system's bundle once it is trusted, yet nothing upstream may be signed
    /// by it: whoever reads ca.key could otherwise impersonate every server to the proxy itself. It is compared by fingerprint, not by
    /// name, since the CA of an outer proxy of the same make is a root we do need.
    /// </param>
    /// <param name="root">Where the file system begins.</param>
    /// <param name="environment">Reads SSL_CERT_FILE and SSL_CERT_DIR; the process's own environment when null.</param>
    /// <exception cref="IOException">A file of <paramref name="extraCaFiles"/> cannot be read or holds no certificate.</exception>
    public static Task<X509Certificate2Collection> LoadAsync(
        IEnumerable<string> extraCaFiles,
        ILogger logger,
        string? exceptFingerprint = null,
        string root = "/",
        Func<string, string?>? environment = null)
    {
        var extra = extraCaFiles.SelectMany(ReadExtraFile).ToList();
        return Task.Run(() => Load(extra, SystemFiles(root, environment ?? Environment.GetEnvironmentVariable), exceptFingerprint, logger));
    }

    private static X509Certificate2Collection Load(
        List<X509Certificate2> extra, IEnumerable<string> systemFiles, string? exceptFingerprint, ILogger logger)
    {
        var roots = new Dictionary<string, X509Certificate2>(StringComparer.Ordinal);
        foreach (var file in systemFiles)
            Add(roots, ReadSystemFile(file, logger));
        var fromSystem = roots.Count;
        Add(roots, extra);
        if (exceptFingerprint is not null)
            roots.Remove(exceptFingerprint);

        if (roots.Count == 0)
            logger.LogError("no root certificates found: no https upstream can be verified; install ca-certificates or set SSL_CERT_FILE");
        else
            logger.LogDebug("upstream roots loaded system={System} total={Total}", fromSystem, roots.Count);
        return [.. roots.Values];
    }

    /// <summary>The bundle file the distribution's programs read, or null when there is none.</summary>
    public static string? FindBundle(string root = "/") =>
        BundleFiles.Select(file => Path.Combine(root, file)).FirstOrDefault(File.Exists);

    // Variables that are set replace the usual places, as in OpenSSL and Go: who narrows the roots must not get them widened.
    private static IEnumerable<string> SystemFiles(string root, Func<string, string?> environment)
    {
        var file = environment("SSL_CERT_FILE");
        var directories = environment("SSL_CERT_DIR");
        if (!string.IsNullOrEmpty(file) || !string.IsNullOrEmpty(directories))
        {
            IEnumerable<string> files = string.IsNullOrEmpty(file) ? [] : [file];
            return files.Concat((directories ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).SelectMany(FilesOf));
        }

        return FindBundle(root) is { } bundle
            ? [bundle]
            : BundleDirectories.Select(directory => Path.Combine(root, directory)).SelectMany(FilesOf);
    }

    private static IEnumerable<string> FilesOf(string directory) =>
        Directory.Exists(directory)
            ? Directory.EnumerateFiles(directory, "*", new EnumerationOptions { IgnoreInaccessible = true }).Order(StringComparer.Ordinal)
            : [];

    private static List<X509Certificate2> ReadSystemFile(string file, ILogger logger)
    {
        try
        {
            var found = PemCertificates.Read(RegularFile.ReadAllText(file), out var damaged);
            if (damaged > 0)
                logger.LogWarning("{File} holds {Count} certificates that do not parse; they are left out", file, damaged);
            return found;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            logger.LogError("cannot read root certificates from {File}: {Reason}", file, e.Message);
            return [];
        }
    }

    private static List<X509Certificate2> ReadExtraFile(string file)
    {
        try
        {
            var found = PemCertificates.Read(RegularFile.ReadAllText(file), out var damaged);
            return found.Count > 0 && damaged == 0 ? found : throw new IOException($"{file}: no certificate, or a damaged one");
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{file}: {e.Message}", e);
        }
    }

    private static void Add(Dictionary<string, X509Certificate2> roots, List<X509Certificate2> found)
    {
        foreach (var certificate in found)
            roots.TryAdd(PemCertificates.Fingerprint(certificate), certificate);
    }
}
