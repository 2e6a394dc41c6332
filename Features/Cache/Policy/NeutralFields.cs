using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Policy;

/// <summary>
/// The header fields of a body for an address whose origin has said nothing of them: what the bytes say themselves. Another origin's fields
/// would be false testimony, and some of them (HSTS, <c>Clear-Site-Data</c>, a foreign <c>Content-Type</c>) do harm.
/// </summary>
internal static class NeutralFields
{
    // The largest manifest that registries accept (OCI distribution 1.1, "Pushing Manifests").
    private const int MaxManifest = 4 << 20;

    /// <returns>Null for what should be a manifest and is none.</returns>
    public static IReadOnlyList<KeyValuePair<string, string>>? Of(BodyKind kind, StoredBody body) => Of(kind, body.Read, body.Length);

    /// <returns>Null for what should be a manifest and is none.</returns>
    public static IReadOnlyList<KeyValuePair<string, string>>? Of(BodyKind kind, SafeFileHandle file, long length) =>
        Of(kind, (buffer, offset) => RandomAccess.Read(file, buffer, offset), length);

    private delegate int Reading(Span<byte> buffer, long offset);

    private static IReadOnlyList<KeyValuePair<string, string>>? Of(BodyKind kind, Reading read, long length)
    {
        if (kind != BodyKind.Manifest)
            return [new("Content-Type", "application/octet-stream")];
        if (length > MaxManifest)
            return null;
        var bytes = new byte[length];
        for (var at = 0; at < bytes.Length;)
        {
            var got = read(bytes.AsSpan(at), at);
            if (got == 0)
                return null;
            at += got;
        }

        return MediaType(bytes) is { } type ? [new("Content-Type", type)] : null;
    }

    /// <summary>The media type of a manifest: what it says itself, else what its members show (OCI image 1.1, where mediaType may be absent).</summary>
    public static string? MediaType(ReadOnlyMemory<byte> manifest)
    {
        try
        {
            using var json = JsonDocument.Parse(manifest);
            var root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                return null;
            if (root.TryGetProperty("mediaType", out var said) && said.ValueKind == JsonValueKind.String)
                return said.GetString() is { Length: > 0 } type && EndToEnd.IsSendable("Content-Type", type) ? type : null;
            return root.TryGetProperty("manifests", out _) ? "application/vnd.oci.image.index.v1+json"
                : root.TryGetProperty("config", out _) ? "application/vnd.oci.image.manifest.v1+json"
                : root.TryGetProperty("fsLayers", out _) ? "application/vnd.docker.distribution.manifest.v1+json"
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
