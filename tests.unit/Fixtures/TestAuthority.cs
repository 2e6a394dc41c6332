using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Discobot.Tests.Fixtures;

/// <summary>A CA of the test's own, for upstream servers that the proxy is told to trust by <c>tls.extra_ca</c>.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;

    public TestAuthority()
    {
        var request = new CertificateRequest($"CN=Test Origin CA {Guid.NewGuid():N}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-60), DateTimeOffset.UtcNow.AddYears(1));
    }

    public string Pem => _certificate.ExportCertificatePem();

    /// <summary>What a client trusts that knows no other.</summary>
    public X509ChainPolicy TrustOnlyThis()
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(X509CertificateLoader.LoadCertificate(_certificate.RawData));
        return policy;
    }

    /// <summary>A server certificate.</summary>
    /// <param name="names">DNS names or addresses.</param>
    /// <param name="notAfter">Expired ones are wanted too.</param>
    public X509Certificate2 Issue(string[] names, DateTimeOffset? notAfter = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={names[0]}", key, HashAlgorithmName.SHA256);
        var san = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address))
                san.AddIpAddress(address);
            else
                san.AddDnsName(name);
        }

        request.CertificateExtensions.Add(san.Build());
        var end = notAfter ?? DateTimeOffset.UtcNow.AddDays(30);
        using var issued = request.Create(_certificate, end.AddDays(-20) < DateTimeOffset.UtcNow ? end.AddDays(-20) : DateTimeOffset.UtcNow.AddDays(-1),
            end, RandomNumberGenerator.GetBytes(16));
        // Kestrel wants key and certificate from one PFX.
        return X509CertificateLoader.LoadPkcs12(issued.CopyWithPrivateKey(key).Export(X509ContentType.Pfx), null);
    }

    public void Dispose()
    {
        _key.Dispose();
        _certificate.Dispose();
    }
}
