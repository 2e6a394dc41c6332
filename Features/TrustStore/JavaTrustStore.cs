using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;
using Org.BouncyCastle.Pkcs;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;

namespace Discobot.Features.TrustStore;

/// <summary>
/// The system's bundle as a PKCS#12 file for Java, which reads no PEM. It holds nothing secret and has no password, so that Java opens
/// it without one, and with whatever one an application is used to give.
/// </summary>
internal static class JavaTrustStore
{
    private const UnixFileMode Readable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>Writes the file, unless it was made from this very state of the bundle.</summary>
    /// <param name="bundle">PEM; what does not parse in it is left out.</param>
    /// <param name="path">Its directory is made when it is missing.</param>
    /// <returns>Whether it was written.</returns>
    public static bool Follow(string bundle, string path)
    {
        var state = File.GetLastWriteTimeUtc(bundle);
        if (File.Exists(path) && File.GetLastWriteTimeUtc(path) == state)
            return false;
        var certificates = PemCertificates.Read(File.ReadAllText(bundle, Encoding.Latin1), out _);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, Encode(certificates), Readable);
        File.SetLastWriteTimeUtc(path, state);
        return true;
    }

    /// <summary>The file's bytes.</summary>
    public static byte[] Encode(IEnumerable<X509Certificate2> certificates)
    {
        // Builds the attribute "trusted key usage" (JDK-6676075), without which Java takes certificates for parts of somebody's chain.
        var store = new Pkcs12StoreBuilder().SetEnableOracleTrustedKeyUsage(true).SetUseDerEncoding(true).Build();
        var parser = new X509CertificateParser();
        foreach (var certificate in certificates)
            store.SetCertificateEntry($"ca-{store.Count + 1}", new X509CertificateEntry(parser.ReadCertificate(certificate.RawData)));
        using var bytes = new MemoryStream();
        store.Save(bytes, null, new SecureRandom());
        return bytes.ToArray();
    }
}
