using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.TrustStore;

/// <summary>
/// Our CA inside a bundle of PEM certificates, between two comment lines: for images without a tool, and to see what a tool made.
/// The block stands at the beginning, so that taking it out leaves the file as it was, byte for byte.
/// </summary>
internal static class BundleBlock
{
    private const string Begin = "# BEGIN discobot-proxy-ca: added by discobot, taken out by `discobot trust remove`\n";
    private const string End = "# END discobot-proxy-ca\n";

    /// <summary>Whether the certificate is in the bundle, in a block or not.</summary>
    public static bool Holds(string bundle, X509Certificate2 certificate) =>
        Contains(File.ReadAllText(bundle, Encoding.Latin1), certificate);

    /// <summary>Whether our block stands in it: a tool that makes the bundle anew leaves none.</summary>
    public static bool IsEdited(string bundle) => File.ReadAllText(bundle, Encoding.Latin1).Contains(Begin, StringComparison.Ordinal);

    /// <summary>How many certificates, blocks of ours aside, a bundle had that it has no more.</summary>
    public static int Lost(byte[] before, string bundle)
    {
        var now = File.Exists(bundle) ? Fingerprints(File.ReadAllText(bundle, Encoding.Latin1)) : [];
        return Fingerprints(Without(Encoding.Latin1.GetString(before))).Except(now).Count();
    }

    private static HashSet<string> Fingerprints(string text) =>
        [.. PemCertificates.Read(text, out _).Where(c => !c.Subject.Contains("CN=Discobot Proxy CA", StringComparison.Ordinal)).Select(PemCertificates.Fingerprint)];

    /// <summary>Puts the certificate into the bundle in place of the one that was there; does nothing when it is there already.</summary>
    /// <returns>Whether the file was changed.</returns>
    public static bool Put(string bundle, X509Certificate2 certificate) =>
        Replace(bundle, $"{Begin}{certificate.ExportCertificatePem()}\n{End}");

    /// <summary>Takes our block out.</summary>
    /// <returns>Whether there was one.</returns>
    public static bool Remove(string bundle) => Replace(bundle, "");

    private static bool Replace(string bundle, string block)
    {
        // Latin-1 keeps every byte of comments whose encoding is not ours to know.
        var text = File.ReadAllText(bundle, Encoding.Latin1);
        var next = block + Without(text);
        if (next == text)
            return false;
        AtomicFile.Write(bundle, Encoding.Latin1.GetBytes(next), File.GetUnixFileMode(bundle));
        return true;
    }

    private static string Without(string text)
    {
        var begin = text.IndexOf(Begin, StringComparison.Ordinal);
        var end = begin < 0 ? -1 : text.IndexOf(End, begin, StringComparison.Ordinal);
        return end < 0 ? text : text.Remove(begin, end + End.Length - begin);
    }

    private static bool Contains(ReadOnlySpan<char> pem, X509Certificate2 certificate)
    {
        var wanted = certificate.RawDataMemory.Span;
        var der = new byte[wanted.Length];
        while (PemEncoding.TryFind(pem, out var fields))
        {
            if (fields.DecodedDataLength == der.Length
                && Convert.TryFromBase64Chars(pem[fields.Base64Data], der, out _)
                && wanted.SequenceEqual(der))
                return true;
            pem = pem[fields.Location.End..];
        }

        return false;
    }
}
