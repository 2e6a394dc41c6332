using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Cache.Warming;

/// <summary>What go.sum says of a module's zip: the hash of the list of its files' hashes (golang.org/x/mod/sumdb/dirhash, Hash1).</summary>
internal static class GoArchive
{
    /// <summary>Bytes of a zip, and of its files together, as go takes it (golang.org/x/mod/zip).</summary>
    public const long MaxSize = 500L << 20;

    /// <exception cref="InvalidDataException">It is no zip, or a larger one than go takes.</exception>
    public static byte[] Digest(Stream archive)
    {
        using var zip = new ZipArchive(archive, ZipArchiveMode.Read, leaveOpen: true);
        using var list = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var left = MaxSize;
        foreach (var file in zip.Entries.OrderBy(e => e.FullName, StringComparer.Ordinal))
        {
            using var content = file.Open();
            list.AppendData(Encoding.UTF8.GetBytes($"{Convert.ToHexStringLower(DigestOf(content, ref left))}  {file.FullName}\n"));
        }

        return list.GetHashAndReset();
    }

    private static byte[] DigestOf(Stream content, ref long left)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[64 << 10];
        while (content.Read(buffer) is var read and > 0)
        {
            if ((left -= read) < 0)
                throw new InvalidDataException("it is larger than go takes");
            hash.AppendData(buffer, 0, read);
        }

        return hash.GetHashAndReset();
    }
}
