using System.Security.Cryptography.X509Certificates;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.X509;

namespace Discobot.Features.Certificates;

/// <summary>
/// The CA's list of revoked certificates (RFC 5280, 5), which is empty: leaves live in this process's memory alone. Clients that insist on a
/// check of revocation refuse a certificate that names no list, so the leaves name this one.
/// </summary>
/// <param name="authority">Signs it.</param>
/// <param name="address">Where clients in the container find it, in each leaf (RFC 5280, 4.2.1.13).</param>
/// <param name="clock">Says when it was made.</param>
internal sealed class RevocationList(CertificateAuthority authority, Uri address, TimeProvider clock)
{
    /// <summary>Where the API serves it.</summary>
    public const string Path = "/ca.crl";

    /// <summary>Of the DER encoding (RFC 2585, 4.2).</summary>
    public const string ContentType = "application/pkix-crl";

    // Clients keep it that long. Backdated like the certificates, for clocks that are behind.
    private static readonly TimeSpan Validity = TimeSpan.FromDays(7);

    /// <summary>Where it is, or null if the CA, somebody's own, may not sign lists (RFC 5280, 4.2.1.3).</summary>
    public Uri? Address { get; } = authority.Certificate.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault() is { } usage
        && !usage.KeyUsages.HasFlag(X509KeyUsageFlags.CrlSign) ? null : address;

    /// <summary>Makes one, as DER. Costs one signature.</summary>
    public byte[] Encode()
    {
        var now = clock.GetUtcNow();
        var issuer = LeafIssuer.Of(authority);
        var generator = new X509V2CrlGenerator();
        generator.SetIssuerDN(issuer.Name);
        generator.SetThisUpdate((now - LeafMint.Backdate).UtcDateTime);
        generator.SetNextUpdate((now + Validity).UtcDateTime);
        generator.AddExtension(X509Extensions.AuthorityKeyIdentifier, false, issuer.KeyId);
        generator.AddExtension(X509Extensions.CrlNumber, false, new CrlNumber(BigInteger.ValueOf(now.ToUnixTimeSeconds())));
        return generator.Generate(new RsaSigner(authority.Key)).GetEncoded();
    }
}
