using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Org.BouncyCastle.Asn1;

namespace Discobot.Features.TrustStore;

/// <summary>
/// A link in a directory of certificates, <c>HASH.N</c>, by which OpenSSL finds an authority there (X509_LOOKUP_hash_dir(3)): programs that
/// read the directory and not the bundle trust it before the distribution's tool has run.
/// </summary>
internal static class HashLink
{
    private const int Most = 10;

    /// <summary>Makes a link to the certificate's file, unless there is one.</summary>
    public static void Put(string directory, X509Certificate2 certificate, string file)
    {
        if (!Directory.Exists(directory))
            return;
        foreach (var link in Names(directory, certificate))
        {
            var found = new FileInfo(link);
            if (found.LinkTarget == file)
                return;
            if (found.LinkTarget is null && !found.Exists)
            {
                File.CreateSymbolicLink(link, file);
                return;
            }
        }
    }

    /// <summary>Takes the links to the file away.</summary>
    public static void Remove(string directory, string file)
    {
        if (!Directory.Exists(directory))
            return;
        foreach (var link in new DirectoryInfo(directory).EnumerateFileSystemInfos("????????.?").Where(l => l.LinkTarget == file))
            link.Delete();
    }

    /// <summary>X509_NAME_hash: SHA-1 over the subject in its canonical form, the first four bytes backwards.</summary>
    [SuppressMessage("Security", "CA5350", Justification = "The name of a file, as OpenSSL makes it: nothing is secured by it.")]
    public static string Hash(X500DistinguishedName name)
    {
        var canonical = new MemoryStream();
        foreach (var part in Asn1Sequence.GetInstance(name.RawData))
            canonical.Write(Canonical(Asn1Set.GetInstance(part)).GetEncoded(Asn1Encodable.Der));
        var hash = SHA1.HashData(canonical.ToArray());
        return BinaryPrimitives.ReadUInt32LittleEndian(hash).ToString("x8", System.Globalization.CultureInfo.InvariantCulture);
    }

    // Text as UTF-8, in small letters, without spaces at its ends and with single ones within (crypto/x509/x_name.c, asn1_string_canon).
    private static DerSet Canonical(Asn1Set part)
    {
        Asn1Encodable[] pairs = [.. part.Select(CanonicalPair)];
        return new DerSet(pairs);
    }

    private static Asn1Encodable CanonicalPair(Asn1Encodable pair)
    {
        var sequence = Asn1Sequence.GetInstance(pair);
        var value = sequence[1] is IAsn1String text ? new DerUtf8String(Normal(text.GetString())) : sequence[1];
        return new DerSequence(sequence[0], value);
    }

    private static string Normal(string text)
    {
        var result = new StringBuilder();
        foreach (var word in text.Split([' ', '\t', '\n', '\v', '\f', '\r'], StringSplitOptions.RemoveEmptyEntries))
            result.Append(result.Length > 0 ? " " : "").Append(word);
        for (var i = 0; i < result.Length; i++)
        {
            if (char.IsAsciiLetterUpper(result[i]))
                result[i] = char.ToLowerInvariant(result[i]);
        }

        return result.ToString();
    }

    private static IEnumerable<string> Names(string directory, X509Certificate2 certificate)
    {
        var hash = Hash(certificate.SubjectName);
        return Enumerable.Range(0, Most).Select(n => Path.Combine(directory, $"{hash}.{n}"));
    }
}
