using System.Security.Cryptography.X509Certificates;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>
/// Every certificate that is named as trusted ends a chain, be it an issuing CA's or the server's own, as in curl and Go
/// (OpenSSL's X509_V_FLAG_PARTIAL_CHAIN). .NET insists on a self-signed root.
/// </summary>
internal static class TrustAnchors
{
    // What is said of a certificate because of what is, or is not, above it.
    private const X509ChainStatusFlags Above =
        X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.NotTimeValid;

    /// <summary>Whether a chain that was built and refused leads to one of <paramref name="named"/> all the same.</summary>
    /// <param name="chain">Built; the server's certificate first, each of which is signed by the next.</param>
    /// <param name="named">The certificates that are trusted.</param>
    /// <param name="now">Local time, as certificates give theirs.</param>
    public static bool Reaches(X509Chain chain, X509Certificate2Collection named, DateTime now)
    {
        foreach (var element in chain.ChainElements)
        {
            var found = Flags(element);
            if ((found & ~Above) == 0 && named.Any(anchor => IsSame(anchor, element.Certificate) && anchor.NotBefore <= now && now <= anchor.NotAfter))
                return true;
            // Below the anchor everything has to be right.
            if (found != X509ChainStatusFlags.NoError)
                return false;
        }

        return false;
    }

    // A CA that is cross-signed has several certificates, of the same name and key: a signature by one is a signature by each.
    private static bool IsSame(X509Certificate2 anchor, X509Certificate2 certificate) =>
        anchor.SubjectName.RawData.AsSpan().SequenceEqual(certificate.SubjectName.RawData)
        && anchor.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(certificate.PublicKey.ExportSubjectPublicKeyInfo());

    private static X509ChainStatusFlags Flags(X509ChainElement element)
    {
        var flags = X509ChainStatusFlags.NoError;
        foreach (var status in element.ChainElementStatus)
            flags |= status.Status;
        return flags;
    }
}
