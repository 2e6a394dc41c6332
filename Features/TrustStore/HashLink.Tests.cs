using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Certificates;

namespace Discobot.Features.TrustStore;

public sealed class HashLinkTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("hash-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>The oracle is OpenSSL's own program.</summary>
    [Theory]
    [InlineData("O=Discobot Proxy, CN=Discobot Proxy CA")]
    [InlineData("CN=\"  Two   words \", O=Größe, C=DE")]
    [InlineData("CN=UPPER lower+OU=two in one")]
    public void The_hash_is_OpenSSLs(string name)
    {
        using var certificate = Certificate(name);
        File.WriteAllText(Path.Combine(_directory, "c.pem"), certificate.ExportCertificatePem());
        var said = CertificateFixture.Run("openssl", "x509", "-noout", "-subject_hash", "-in", Path.Combine(_directory, "c.pem"));
        Assert.Equal(said.Trim(), HashLink.Hash(certificate.SubjectName));
    }

    [Fact]
    public void The_link_is_made_once_beside_those_of_others_and_found_by_OpenSSL()
    {
        using var certificate = Certificate("CN=Ours");
        var file = Path.Combine(_directory, "ours.crt");
        File.WriteAllText(file, certificate.ExportCertificatePem());
        var links = Directory.CreateDirectory(Path.Combine(_directory, "certs")).FullName;
        var hash = HashLink.Hash(certificate.SubjectName);
        // Of the same name and another key: the identifiers of the keys tell them apart.
        using (var another = Certificate("CN=Ours"))
            File.WriteAllText(Path.Combine(links, hash + ".0"), another.ExportCertificatePem());
        for (var i = 0; i < 2; i++)
            HashLink.Put(links, certificate, file);
        Assert.Equal([hash + ".0", hash + ".1"], Directory.GetFileSystemEntries(links).Select(Path.GetFileName).Order());
        Assert.Contains("OK", CertificateFixture.Run("openssl", "verify", "-CApath", links, "-no-CAfile", file), StringComparison.Ordinal);
        HashLink.Remove(links, file);
        Assert.Equal([hash + ".0"], Directory.GetFileSystemEntries(links).Select(Path.GetFileName));
    }

    private static X509Certificate2 Certificate(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        var identifier = new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(identifier);
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(identifier));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }
}
