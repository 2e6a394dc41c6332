using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;
using Org.BouncyCastle.X509.Extension;

namespace Discobot.Features.Certificates;

/// <summary>Makes the key and the self-signed certificate of a new CA (RFC 5280).</summary>
internal static class AuthorityMint
{
    private const int KeyBits = 2048;

    /// <summary>An RSA-2048 key and a certificate over it, valid for ten years.</summary>
    /// <param name="now">The validity begins a day earlier: a clock that is set back must not make a fresh CA invalid.</param>
    public static (X509Certificate2 Certificate, RSA Key) Create(DateTimeOffset now)
    {
        var key = RSA.Create(KeyBits);
        var publicKey = PublicKeyFactory.CreateKey(key.ExportSubjectPublicKeyInfo());
        var name = new X509Name("O=Discobot Proxy,CN=Discobot Proxy CA");
        var notBefore = now.UtcDateTime.AddDays(-1);

        var generator = new X509V3CertificateGenerator();
        generator.SetSerialNumber(RandomSerial());
        generator.SetIssuerDN(name);
        generator.SetSubjectDN(name);
        generator.SetNotBefore(notBefore);
        generator.SetNotAfter(notBefore.AddYears(10));
        generator.SetPublicKey(publicKey);
        // Nothing below this CA may be a CA; it signs leaves and nothing else.
        generator.AddExtension(X509Extensions.BasicConstraints, true, new BasicConstraints(0));
        generator.AddExtension(X509Extensions.KeyUsage, true, new KeyUsage(KeyUsage.KeyCertSign | KeyUsage.CrlSign));
        generator.AddExtension(X509Extensions.SubjectKeyIdentifier, false, X509ExtensionUtilities.CreateSubjectKeyIdentifier(publicKey));
        generator.AddExtension(X509Extensions.SubjectAlternativeName, false, new GeneralNames(
        [
            new GeneralName(GeneralName.DnsName, "localhost"),
            Address(IPAddress.Loopback),
            Address(IPAddress.IPv6Loopback),
        ]));
        var certificate = generator.Generate(new RsaSigner(key));
        return (X509CertificateLoader.LoadCertificate(certificate.GetEncoded()), key);
    }

    /// <summary>128 random bits, positive and never zero: unique without a register (RFC 5280, 4.1.2.2).</summary>
    public static BigInteger RandomSerial()
    {
        Span<byte> bytes = stackalloc byte[16];
        RandomNumberGenerator.Fill(bytes);
        bytes[0] = (byte)((bytes[0] & 0x7f) | 0x40); // the same length in every certificate, no sign byte
        return new BigInteger(1, bytes);
    }

    /// <summary>An iPAddress name: 4 or 16 octets in network order (RFC 5280, 4.2.1.6).</summary>
    public static GeneralName Address(IPAddress address) =>
        new(GeneralName.IPAddress, new DerOctetString(address.GetAddressBytes()));
}
