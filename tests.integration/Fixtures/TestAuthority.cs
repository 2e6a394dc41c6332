using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Discobot.Integration.Fixtures;

/// <summary>A certification authority that only the proxy of a test trusts (<c>tls.extra_ca</c>): whoever it signs is an "outside" server.</summary>
internal sealed class TestAuthority
{
    private readonly string _rootKey;

    public TestAuthority(string name = "Discobot Test Authority")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        using var root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-400), DateTimeOffset.UtcNow.AddDays(30));
        RootPem = root.ExportCertificatePem();
        _rootKey = key.ExportPkcs8PrivateKeyPem();
    }

    public string RootPem { get; }

    /// <summary>A server certificate for names and address literals, valid now unless told otherwise.</summary>
    public X509Certificate2 Issue(string[] names, DateTimeOffset? notBefore = null, DateTimeOffset? notAfter = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign(new CertificateRequest($"CN={names[0]}", key, HashAlgorithmName.SHA256), names, notBefore, notAfter);
        using var pair = certificate.CopyWithPrivateKey(key);
        // Through PKCS#12, since a key that lives only in memory is not accepted by every TLS stack.
        return X509CertificateLoader.LoadPkcs12(pair.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable);
    }

    /// <summary>The same for a key of the caller's.</summary>
    public X509Certificate2 Sign(CertificateRequest request, string[] names, DateTimeOffset? notBefore = null, DateTimeOffset? notAfter = null)
    {
        using var root = X509Certificate2.CreateFromPem(RootPem, _rootKey);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address))
                alternatives.AddIpAddress(address);
            else
                alternatives.AddDnsName(name);
        }

        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(root, true, false));
        using var issuer = root.GetECDsaPrivateKey()!;
        return request.Create(
            root.SubjectName, X509SignatureGenerator.CreateForECDsa(issuer),
            notBefore ?? DateTimeOffset.UtcNow.AddDays(-1), notAfter ?? DateTimeOffset.UtcNow.AddDays(20), RandomNumberGenerator.GetBytes(16));
    }

    /// <summary>The same as PEM, for servers in containers.</summary>
    public (string Certificate, string Key) IssuePem(params string[] names)
    {
        using var pair = Issue(names);
        using var key = pair.GetECDsaPrivateKey()!;
        return (pair.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }
}
