using System.IO.Compression;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>What servers pack files and documents in for the way (RFC 9110, 8.4.1).</summary>
internal static class ContentCodings
{
    /// <summary>What is packed in a stream, which ends with the one that is returned.</summary>
    /// <param name="packed">As it was sent.</param>
    /// <param name="coding">The value of Content-Encoding, in lower case.</param>
    /// <returns>Null for a coding that is not known here, and for none.</returns>
    public static Stream? Decoding(Stream packed, string coding) => coding switch
    {
        "gzip" or "x-gzip" => new GZipStream(packed, CompressionMode.Decompress),
        "deflate" => new ZLibStream(packed, CompressionMode.Decompress),
        "br" => new BrotliStream(packed, CompressionMode.Decompress),
        _ => null,
    };
}
