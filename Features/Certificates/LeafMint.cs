using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;
using Org.BouncyCastle.X509.Extension;

namespace Discobot.Features.Certificates;

/// <summary>
/// Makes leaf certificates (RFC 5280, and the CA/Browser Forum's limits where clients enforce them). All share one P-256 key, which
/// lives in memory only: a key per host would cost time and protect nothing, as the same process holds them all.
/// </summary>
internal sealed class LeafMint : IDisposable
{
    /// <summary>The longest validity, both ends included; clients begin to refuse at 398 days today, 200 from 2026.</summary>
    public static readonly TimeSpan Validity = TimeSpan.FromDays(197);

    /// <summary>How far back the validity begins, for clients whose clock is behind.</summary>
    public static readonly TimeSpan Backdate = TimeSpan.FromDays(1);

    private const int LongestCommonName = 64; // ub-common-name, RFC 5280, appendix A.1

    private readonly CertificateAuthority _authority;
    // Not ECDsa.Create(): what that wraps is copied into each certificate, this is shared by reference.
    private readonly ECDsaOpenSsl _key = new(ECCurve.NamedCurves.nistP256);
    private readonly RsaSigner _signer;
    private readonly LeafIssuer _issuer;
    private readonly Org.BouncyCastle.Crypto.AsymmetricKeyParameter _publicKey;
    private readonly Asn1Encodable _subjectKeyId;
    private readonly CrlDistPoint? _revocationList;
    private readonly SslCertificateTrust _trust;

    /// <param name="authority">Signs them.</param>
    /// <param name="revocationList">Named in each; null: none is.</param>
    public LeafMint(CertificateAuthority authority, Uri? revocationList = null)
    {
        _authority = authority;
        _signer = new RsaSigner(authority.Key);
        _issuer = LeafIssuer.Of(authority);
        _publicKey = PublicKeyFactory.CreateKey(_key.ExportSubjectPublicKeyInfo());
        _subjectKeyId = X509ExtensionUtilities.CreateSubjectKeyIdentifier(_publicKey);
        if (revocationList is not null)
        {
            var place = new GeneralNames(new GeneralName(GeneralName.UniformResourceIdentifier, revocationList.AbsoluteUri));
            _revocationList = new CrlDistPoint([new DistributionPoint(new DistributionPointName(place), null, null)]);
        }

        _trust = SslCertificateTrust.CreateForX509Collection([authority.Certificate]);
    }

    /// <summary>When a certificate minted at <paramref name="now"/> expires: never after the CA does.</summary>
    public DateTimeOffset Expiry(DateTimeOffset now)
    {
        var end = now - Backdate + Validity - TimeSpan.FromSeconds(1);
        var authorityEnd = new DateTimeOffset(_authority.Certificate.NotAfter.ToUniversalTime());
        return end < authorityEnd ? end : authorityEnd;
    }

    /// <summary>Mints a certificate for one host.</summary>
    /// <param name="host">A canonical name or address: see <see cref="LeafName"/>.</param>
    /// <param name="now">The time the validity is reckoned from.</param>
    public SslStreamCertificateContext Mint(string host, DateTimeOffset now)
    {
        using var bare = X509CertificateLoader.LoadCertificate(Encode(host, now));
        // Offline, and with the CA as the only trust: building the chain then reads neither the network nor the system's store.
        return SslStreamCertificateContext.Create(bare.CopyWithPrivateKey(_key), [_authority.Certificate], offline: true, _trust);
    }

    public void Dispose() => _key.Dispose();

    private byte[] Encode(string host, DateTimeOffset now)
    {
        var named = host.Length <= LongestCommonName;

        var generator = new X509V3CertificateGenerator();
        generator.SetSerialNumber(AuthorityMint.RandomSerial());
        generator.SetIssuerDN(_issuer.Name);
        generator.SetNotBefore((now - Backdate).UtcDateTime);
        generator.SetNotAfter(Expiry(now).UtcDateTime);
        generator.SetSubjectDN(named ? new X509Name([X509Name.CN], [host]) : new X509Name([], (string[])[]));
        generator.SetPublicKey(_publicKey);
        generator.AddExtension(X509Extensions.KeyUsage, true, new KeyUsage(KeyUsage.DigitalSignature));
        generator.AddExtension(X509Extensions.ExtendedKeyUsage, false, new ExtendedKeyUsage(KeyPurposeID.id_kp_serverAuth));
        generator.AddExtension(X509Extensions.SubjectKeyIdentifier, false, _subjectKeyId);
        generator.AddExtension(X509Extensions.AuthorityKeyIdentifier, false, _issuer.KeyId);
        if (_revocationList is not null)
            generator.AddExtension(X509Extensions.CrlDistributionPoints, false, _revocationList);
        // Critical where it is all the certificate says about its subject (RFC 5280, 4.2.1.6).
        generator.AddExtension(X509Extensions.SubjectAlternativeName, !named, new GeneralNames(AlternativeName(host)));
        return generator.Generate(_signer).GetEncoded();
    }

    private static GeneralName AlternativeName(string host) =>
        LeafName.IsAddress(host, out var address) ? AuthorityMint.Address(address) : new GeneralName(GeneralName.DnsName, host);
}
