using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Cache.Hashes;

/// <summary>
/// What a lockfile or an index says of a file's bytes, written as npm and browsers write it (Subresource Integrity): <c>sha512-</c> and base64, of
/// several the strongest algorithm counts, and of that one that agrees is enough. <c>h1:</c> is what go.sum says of a go.mod, or of the files in a zip.
/// </summary>
internal sealed class Integrity
{
    private const string GoSum = "h1:";

    private static readonly (string Name, HashAlgorithmName Algorithm, int Size)[] Known =
        [("sha512", HashAlgorithmName.SHA512, 64), ("sha384", HashAlgorithmName.SHA384, 48), ("sha256", HashAlgorithmName.SHA256, 32), ("sha1", HashAlgorithmName.SHA1, 20)];

    private readonly ImmutableArray<byte[]> _digests;
    private readonly string _prefix;

    private Integrity(HashAlgorithmName algorithm, string prefix, ImmutableArray<byte[]> digests) => (Algorithm, _prefix, _digests) = (algorithm, prefix, digests);

    /// <summary>Whether it is of the list of the files in a zip (GoArchive) and not of the bytes.</summary>
    public bool IsOfFiles { get; private init; }

    /// <summary>With what the bytes are hashed.</summary>
    public HashAlgorithmName Algorithm { get; }

    /// <param name="text">As it is written.</param>
    /// <param name="isOfFiles">Whether what go.sum says is said of a zip.</param>
    /// <returns>Null where nothing in it is a hash that is known here: then it says nothing.</returns>
    public static Integrity? Parse(string? text, bool isOfFiles = false)
    {
        var words = (text ?? "").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (words is [var sum] && sum.StartsWith(GoSum, StringComparison.Ordinal))
            return Decode(sum.AsSpan(GoSum.Length), 32) is { } digest ? new(HashAlgorithmName.SHA256, GoSum, [digest]) { IsOfFiles = isOfFiles } : null;
        foreach (var (name, algorithm, size) in Known)
        {
            ImmutableArray<byte[]> digests =
                [.. words.Where(w => w.StartsWith(name, StringComparison.Ordinal) && w.Length > name.Length && w[name.Length] == '-')
                    .Select(w => Decode(w.AsSpan(name.Length + 1), size)).OfType<byte[]>()];
            if (digests.Length > 0)
                return new(algorithm, name + "-", digests);
        }

        return null;
    }

    /// <summary>The same of a digest in hexadecimal; null where it is none.</summary>
    public static string? OfHex(string algorithm, string? hex)
    {
        var size = Array.Find(Known, k => k.Name == algorithm).Size;
        return hex is not null && hex.Length == 2 * size && hex.All(char.IsAsciiHexDigit) ? $"{algorithm}-{Convert.ToBase64String(Convert.FromHexString(hex))}" : null;
    }

    /// <param name="digest">Of the whole file, by <see cref="Algorithm"/>.</param>
    public bool IsMetBy(ReadOnlySpan<byte> digest)
    {
        var seen = Own(digest);
        return _digests.Any(d => d.AsSpan().SequenceEqual(seen));
    }

    /// <summary>How a digest would stand in the place of this one.</summary>
    public string Write(ReadOnlySpan<byte> digest) => _prefix + Convert.ToBase64String(Own(digest));

    public override string ToString() => string.Join(" or ", _digests.Select(d => _prefix + Convert.ToBase64String(d)));

    // golang.org/x/mod/sumdb/dirhash, Hash1, of a list of one file.
    private byte[] Own(ReadOnlySpan<byte> digest) =>
        _prefix == GoSum && !IsOfFiles ? SHA256.HashData(Encoding.ASCII.GetBytes($"{Convert.ToHexStringLower(digest)}  go.mod\n")) : digest.ToArray();

    private static byte[]? Decode(ReadOnlySpan<char> base64, int size)
    {
        var options = base64.IndexOf('?');
        var digest = new byte[size + 2];
        return Convert.TryFromBase64Chars(options < 0 ? base64 : base64[..options], digest, out var written) && written == size ? digest[..size] : null;
    }
}
