using System.Security.Cryptography;
using System.Text.Json;

namespace Discobot.Features.Cache.Warming;

/// <summary>Brings in what a pull of an image asks for: the manifest by tag and by digest, the platform's own, its configuration and its layers.</summary>
internal sealed class ImageWarming(WarmDownload downloads, WarmPlatform platform)
{
    private const int MaxManifest = 4 << 20;

    private const string Manifests = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
        + "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

    public async Task WarmAsync(ImageReference image, WarmMeter meter, CancellationToken cancel)
    {
        var access = new RegistryAccess(downloads, image, meter);
        var (text, digest) = await ManifestAsync(image, access, image.Reference, cancel);
        // A tag's answer is not kept under the digest that the pull asks for next.
        if (!image.IsByDigest)
            (text, _) = await ManifestAsync(image, access, digest, cancel);
        var root = Parse(text, image);
        if (root.TryGetProperty("manifests", out var all))
        {
            (text, _) = await ManifestAsync(image, access, platform.Choose(all), cancel);
            root = Parse(text, image);
        }

        var blobs = Blobs(root).DistinctBy(b => b.Digest).ToArray();
        meter.Expect(blobs.Sum(b => b.Size));
        await Task.WhenAll(blobs.Select(b => access.StoreAsync(new WarmFile(image.Address("blobs", b.Digest), "*/*"), cancel)));
    }

    private static async Task<(byte[] Text, string Digest)> ManifestAsync(ImageReference image, RegistryAccess access, string reference, CancellationToken cancel)
    {
        var text = await access.ReadAsync(new WarmFile(image.Address("manifests", reference), Manifests), MaxManifest, cancel);
        var digest = $"sha256:{Convert.ToHexStringLower(SHA256.HashData(text))}";
        return !reference.Contains(':', StringComparison.Ordinal) || reference == digest
            ? (text, digest)
            : throw new WarmException($"the manifest {reference} is another than its name says");
    }

    private static JsonElement Parse(byte[] text, ImageReference image)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            throw new WarmException($"{image.Host} sent no manifest");
        }
    }

    private static IEnumerable<(string Digest, long Size)> Blobs(JsonElement manifest)
    {
        if (!manifest.TryGetProperty("config", out var config) || !manifest.TryGetProperty("layers", out var layers) || layers.ValueKind != JsonValueKind.Array)
            throw new WarmException("its manifest is of a kind that is not known here (schema 1?)");
        return [Blob(config), .. layers.EnumerateArray().Where(l => !l.TryGetProperty("urls", out _)).Select(Blob)];
    }

    private static (string Digest, long Size) Blob(JsonElement descriptor) =>
        descriptor.TryGetProperty("digest", out var digest) && digest.GetString() is { Length: > 0 } name
            ? (name, descriptor.TryGetProperty("size", out var size) && size.TryGetInt64(out var bytes) ? bytes : 0)
            : throw new WarmException("its manifest names something without a digest");
}

/// <summary>As in <c>linux/arm64/v8</c>.</summary>
internal sealed record WarmPlatform(string System, string Architecture, string? Variant)
{
    /// <summary>This machine's.</summary>
    public static WarmPlatform Own => new("linux", global::System.Runtime.InteropServices.RuntimeInformation.OSArchitecture switch
    {
        global::System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
        _ => "amd64",
    }, null);

    public static WarmPlatform? Parse(string? text) => text is null ? Own : text.Split('/') switch
    {
        [{ Length: > 0 } system, { Length: > 0 } architecture] => new(system, architecture, null),
        [{ Length: > 0 } system, { Length: > 0 } architecture, { Length: > 0 } variant] => new(system, architecture, variant),
        _ => null,
    };

    public override string ToString() => Variant is null ? $"{System}/{Architecture}" : $"{System}/{Architecture}/{Variant}";

    /// <summary>The digest of the manifest that a machine of this platform takes of an index.</summary>
    public string Choose(JsonElement manifests)
    {
        var offered = manifests.ValueKind != JsonValueKind.Array ? [] : manifests.EnumerateArray()
            .Select(m => (Digest: Text(m, "digest"), Platform: m.TryGetProperty("platform", out var p)
                ? new WarmPlatform(Text(p, "os"), Text(p, "architecture"), Text(p, "variant") is { Length: > 0 } v ? v : null) : this))
            .Where(m => m.Digest.Length > 0).ToArray();
        var fitting = offered.Where(m => m.Platform.System == System && m.Platform.Architecture == Architecture && (Variant is null || m.Platform.Variant is null || m.Platform.Variant == Variant)).ToArray();
        // Of 32-bit ARM the newer variant is the faster one, and everything else has one.
        return fitting.OrderByDescending(m => m.Platform.Variant, StringComparer.Ordinal).Select(m => m.Digest).FirstOrDefault()
            ?? throw new WarmException($"there is no {this} of it, only {string.Join(", ", offered.Select(m => m.Platform.ToString()).Where(p => p != "unknown/unknown").Distinct())}");
    }

    private static string Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
