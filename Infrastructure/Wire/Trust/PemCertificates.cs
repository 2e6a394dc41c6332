using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Discobot.Infrastructure.Wire.Trust;

/// <summary>Reads the certificates of a PEM text (RFC 7468), passing over what is none.</summary>
internal static class PemCertificates
{
    private const string Label = "CERTIFICATE";

    /// <summary>Every CERTIFICATE block that parses, in order; comments, keys and damaged blocks are left out.</summary>
    /// <param name="pem">The whole text.</param>
    /// <param name="damaged">How many CERTIFICATE blocks did not parse.</param>
    public static List<X509Certificate2> Read(ReadOnlySpan<char> pem, out int damaged)
    {
        damaged = 0;
        var found = new List<X509Certificate2>();
        while (PemEncoding.TryFind(pem, out var fields))
        {
            if (pem[fields.Label].SequenceEqual(Label))
            {
                if (TryParse(pem[fields.Base64Data], fields.DecodedDataLength) is { } certificate)
                    found.Add(certificate);
                else
                    damaged++;
            }

            pem = pem[fields.Location.End..];
        }

        return found;
    }

    /// <summary>SHA-256 of the DER in lower-case hex: how certificates are named in logs and compared.</summary>
    public static string Fingerprint(X509Certificate2 certificate) =>
        Convert.ToHexStringLower(SHA256.HashData(certificate.RawDataMemory.Span));

    private static X509Certificate2? TryParse(ReadOnlySpan<char> base64, int length)
    {
        var der = new byte[length];
        try
        {
            return Convert.TryFromBase64Chars(base64, der, out var written)
                ? X509CertificateLoader.LoadCertificate(der.AsSpan(0, written))
                : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}
