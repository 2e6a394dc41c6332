using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.TrustStore;

/// <summary>
/// A bundle of our own for clients that can be told of one: the system's authorities, ours, and those that the user's own variables name.
/// Where the system's store cannot take ours, it is the way by which clients trust the proxy all the same.
/// </summary>
/// <param name="directories">Where it may lie, the best first.</param>
/// <param name="root">Where the file system begins.</param>
internal sealed class ClientBundle(IReadOnlyList<string> directories, string root = "/")
{
    public const string FileName = "ca-bundle.crt";
    public const string AdditionalName = "extra-ca.crt";

    /// <summary>The variables by which clients are told of authorities.</summary>
    public static readonly string[] Variables =
    [
        "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
        "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT", "NODE_EXTRA_CA_CERTS", "NIX_SSL_CERT_FILE",
    ];

    private const long Largest = 64 << 20;
    private const UnixFileMode Readable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    // Where images without a known distribution have their authorities; the last two are directories.
    private static readonly string[] OtherBundles = ["etc/ssl/certs/ca-bundle.crt", "etc/ssl/cert.pem", "etc/pki/tls/cert.pem", "etc/ssl/certs", "etc/pki/tls/certs"];

    /// <summary>The certificates of the files and directories that the user's variables name, each once.</summary>
    /// <param name="environment">The container's.</param>
    /// <param name="refused">Told of what cannot be read.</param>
    public List<X509Certificate2> OfUser(IReadOnlyDictionary<string, string> environment, Action<string> refused)
    {
        var found = new Dictionary<string, X509Certificate2>(StringComparer.Ordinal);
        foreach (var name in Variables)
        {
            foreach (var path in environment.GetValueOrDefault(name, "").Split(name.EndsWith("DIR", StringComparison.Ordinal) ? ':' : '\0'))
            {
                if (path.Length == 0 || IsOurs(path))
                    continue;
                var certificates = Read(Path.Combine(root, path.TrimStart('/')));
                if (certificates.Count == 0)
                    refused($"{name} names {path}, which holds no certificate that can be read");
                certificates.ForEach(c => found.TryAdd(PemCertificates.Fingerprint(c), c));
            }
        }

        return [.. found.Values];
    }

    /// <summary>Writes the bundle into the first directory that takes it.</summary>
    /// <param name="system">The system's own bundle; null when none is known.</param>
    /// <param name="added">Ours and the user's.</param>
    /// <returns>The file; null when no directory takes one.</returns>
    public string? Write(string? system, IReadOnlyList<X509Certificate2> added) => Write(FileName, SystemText(system), added);

    /// <summary>Writes ours and the user's alone, for clients that add a file to their own authorities.</summary>
    public string? WriteAdditional(IReadOnlyList<X509Certificate2> added) => Write(AdditionalName, "", added);

    /// <summary>Takes away what an earlier start wrote: nothing leads there any more.</summary>
    public void Remove(string name)
    {
        foreach (var file in directories.Select(directory => Path.Combine(directory, name)).Where(File.Exists))
        {
            try
            {
                File.Delete(file);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It can be read by nobody who is not told of it.
            }
        }
    }

    /// <summary>The bundle of a container that has one; null when the system's serves.</summary>
    public string? Find() => directories.Select(directory => Path.Combine(directory, FileName)).FirstOrDefault(File.Exists);

    private bool IsOurs(string path) => directories.Any(directory => Path.Combine(root, path.TrimStart('/')).StartsWith(directory + "/", StringComparison.Ordinal));

    private string? Write(string name, string system, IReadOnlyList<X509Certificate2> added)
    {
        var text = new StringBuilder(system);
        if (text.Length > 0 && text[^1] != '\n')
            text.Append('\n');
        var known = PemCertificates.Read(system, out _).Select(PemCertificates.Fingerprint).ToHashSet();
        foreach (var certificate in added.Where(c => known.Add(PemCertificates.Fingerprint(c))))
            text.Append(certificate.ExportCertificatePem()).Append('\n');
        var bytes = Encoding.Latin1.GetBytes(text.ToString());
        return directories.FirstOrDefault(directory => TryWrite(Path.Combine(directory, name), bytes)) is { } taker ? Path.Combine(taker, name) : null;
    }

    private static bool TryWrite(string path, byte[] bytes)
    {
        try
        {
            MakeDirectory(Path.GetDirectoryName(path)!);
            if (!File.Exists(path) || !RegularFile.IsOrMissing(path) || !File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes))
                AtomicFile.Write(path, bytes, Readable);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    // Whatever the umask, clients have to get through.
    private static void MakeDirectory(string path)
    {
        if (Directory.Exists(path))
            return;
        Directory.CreateDirectory(path);
        File.SetUnixFileMode(path, Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    }

    private string SystemText(string? system)
    {
        if (system is not null && TryReadText(system) is { } text)
            return text;
        var other = OtherBundles.Select(path => Path.Combine(root, path)).Select(Read).FirstOrDefault(found => found.Count > 0) ?? [];
        return string.Concat(other.Select(c => c.ExportCertificatePem() + "\n"));
    }

    private static List<X509Certificate2> Read(string path)
    {
        var files = Directory.Exists(path) ? Directory.EnumerateFiles(path).Order(StringComparer.Ordinal) : Enumerable.Repeat(path, 1);
        return [.. files.SelectMany(file => TryReadText(file) is { } text ? PemCertificates.Read(text, out _) : [])];
    }

    // A FIFO or a device, which would hold the start up, has no length.
    private static string? TryReadText(string path)
    {
        try
        {
            return new FileInfo(path) is { Exists: true, Length: > 0 and <= Largest } ? File.ReadAllText(path, Encoding.Latin1) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
