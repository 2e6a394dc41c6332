using System.Text.Json.Serialization;

namespace Discobot.Features.Cache.Records;

/// <summary>Checks every file of a cache directory, running proxy or not, and changes nothing.</summary>
internal static class CacheVerification
{
    /// <param name="path">The directory, as in <c>cache.dir</c>.</param>
    /// <exception cref="IOException">The directory cannot be read.</exception>
    public static CacheFindings Run(string path)
    {
        var directory = new CacheDirectory(path);
        long bytes = 0;
        var entries = 0;
        var damaged = new List<CacheDamage>();
        foreach (var (key, files) in directory.List().AggregateBy(f => f.Key, EntryFiles.None, (seen, file) => seen | file.Files).OrderBy(f => f.Key.ToString(), StringComparer.Ordinal))
        {
            if (files == EntryFiles.Both)
                entries++;
            if (Examine(directory, key, files, ref bytes) is { } damage)
                damaged.Add(damage);
        }

        return new CacheFindings(directory.Path, entries, bytes, damaged);
    }

    private static CacheDamage? Examine(CacheDirectory directory, in Hash256 key, EntryFiles files, ref long bytes)
    {
        if (files != EntryFiles.Both)
            return new(key.ToString(), "", files == EntryFiles.Body ? "a body without metadata" : "metadata without a body");
        if (directory.ReadMetadata(key) is not { } metadata || Hash256.Of(metadata.Key) != key)
            return new(key.ToString(), "", "metadata torn or altered");
        using var body = directory.OpenBody(key);
        if (body is null || RandomAccess.GetLength(body) != metadata.Size)
            return new(key.ToString(), metadata.Key, $"not {metadata.Size} bytes long");
        bytes += metadata.Size;
        return BodyDigest.Of(body, metadata.Size) == metadata.Digest
            ? null
            : new(key.ToString(), metadata.Key, $"its SHA-256 is not {metadata.Digest}");
    }
}

/// <param name="Dir">The directory that was read.</param>
/// <param name="Entries">How many bodies with metadata.</param>
/// <param name="Bytes">Bytes of all bodies that were read.</param>
/// <param name="Damaged">What is wrong.</param>
internal sealed record CacheFindings(
    [property: JsonPropertyName("dir")] string Dir,
    [property: JsonPropertyName("entries")] int Entries,
    [property: JsonPropertyName("bytes")] long Bytes,
    [property: JsonPropertyName("damaged")] IReadOnlyList<CacheDamage> Damaged);

/// <param name="File">The name of the file.</param>
/// <param name="Key">Host and path it was stored for, if known.</param>
/// <param name="Reason">What was found.</param>
internal sealed record CacheDamage(
    [property: JsonPropertyName("file")] string File,
    [property: JsonPropertyName("key")] string Key,
    [property: JsonPropertyName("reason")] string Reason);
