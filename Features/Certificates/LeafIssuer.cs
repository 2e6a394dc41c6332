using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.X509;
using Org.BouncyCastle.X509.Extension;

namespace Discobot.Features.Certificates;

/// <summary>The CA as what it signs names it.</summary>
/// <param name="Name">Byte for byte as the CA spells it.</param>
/// <param name="KeyId">The CA's own subject key identifier; its usual derivation where the CA, somebody's own, has none.</param>
internal sealed record LeafIssuer(X509Name Name, AuthorityKeyIdentifier KeyId)
{
    public static LeafIssuer Of(CertificateAuthority authority)
    {
        var certificate = new X509CertificateParser().ReadCertificate(authority.Certificate.RawData);
        var keyId = certificate.GetExtensionValue(X509Extensions.SubjectKeyIdentifier) is { } extension
            ? SubjectKeyIdentifier.GetInstance(X509ExtensionUtilities.FromExtensionValue(extension))
            : X509ExtensionUtilities.CreateSubjectKeyIdentifier(certificate.GetPublicKey());
        return new LeafIssuer(certificate.SubjectDN, new AuthorityKeyIdentifier(keyId.GetKeyIdentifier()));
    }
}
