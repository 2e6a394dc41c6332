using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;

namespace Discobot.Integration.Fixtures;

/// <summary>A container image made on the spot from random bytes: an index, a manifest, a configuration and layers (OCI image-spec 1.0).</summary>
internal sealed class TestImage
{
    private const string IndexType = "application/vnd.oci.image.index.v1+json";
    private const string ManifestType = "application/vnd.oci.image.manifest.v1+json";
    private readonly List<byte[]> _layers = [];
    private readonly byte[] _config;
    private readonly byte[] _manifest;
    private readonly byte[] _index;

    /// <param name="repository">The path on the registry, such as <c>team/app</c>.</param>
    /// <param name="layerSizes">The size of the one random file in each layer, in bytes.</param>
    public TestImage(string repository, params int[] layerSizes)
    {
        Repository = repository;
        var plain = layerSizes.Select((size, number) => Layer($"file{number}", size)).ToArray();
        DiffIds = [.. plain.Select(Digest)];
        _layers.AddRange(plain.Select(Compress));
        _config = Json(new
        {
            architecture = "amd64",
            os = "linux",
            config = new { Cmd = new[] { "/none" } },
            rootfs = new { type = "layers", diff_ids = DiffIds },
        });
        _manifest = Json(new
        {
            schemaVersion = 2,
            mediaType = ManifestType,
            config = Descriptor("application/vnd.oci.image.config.v1+json", _config),
            layers = _layers.Select(layer => Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)),
        });
        var platform = new { architecture = "amd64", os = "linux" };
        _index = Json(new
        {
            schemaVersion = 2,
            mediaType = IndexType,
            manifests = new[] { new { mediaType = ManifestType, digest = Digest(_manifest), size = _manifest.Length, platform } },
        });
    }

    /// <summary>The digests of the layers as an engine unpacks them: equal digests, equal bytes.</summary>
    public IReadOnlyList<string> DiffIds { get; }

    public string Repository { get; }

    /// <summary>What <c>docker pull registry.test/…</c> takes so that no tag is asked for.</summary>
    public string ByDigest => $"registry.test/{Repository}@{Digest(_index)}";

    public string ByTag => $"registry.test/{Repository}:v1";

    public IReadOnlyList<string> BlobDigests => [.. _layers.Append(_config).Select(Digest)];

    public string LayerDigest(int layer) => Digest(_layers[layer]);

    public byte[] LayerBytes(int layer) => _layers[layer];

    public static string Digest(byte[] content) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(content))}";

    /// <summary>Pushes everything through the registry's own API (distribution-spec 1.0, "Push").</summary>
    public async Task PushAsync(HttpClient registry)
    {
        foreach (var blob in _layers.Append(_config))
        {
            using var started = await registry.PostAsync($"/v2/{Repository}/blobs/uploads/", null);
            started.EnsureSuccessStatusCode();
            var place = new Uri(registry.BaseAddress!, started.Headers.Location!).PathAndQuery;
            using var body = new ByteArrayContent(blob);
            using var done = await registry.PutAsync($"{place}{(place.Contains('?') ? '&' : '?')}digest={Digest(blob)}", body);
            Assert.Equal(HttpStatusCode.Created, done.StatusCode);
        }

        await PutManifestAsync(registry, Digest(_manifest), ManifestType, _manifest);
        await PutManifestAsync(registry, "v1", IndexType, _index);
    }

    private async Task PutManifestAsync(HttpClient registry, string reference, string type, byte[] content)
    {
        using var body = new ByteArrayContent(content);
        body.Headers.ContentType = new MediaTypeHeaderValue(type);
        using var done = await registry.PutAsync($"/v2/{Repository}/manifests/{reference}", body);
        Assert.Equal(HttpStatusCode.Created, done.StatusCode);
    }

    private static byte[] Layer(string name, int size)
    {
        var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, leaveOpen: true))
            writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(RandomNumberGenerator.GetBytes(size)) });
        return tar.ToArray();
    }

    private static byte[] Compress(byte[] layer)
    {
        var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(layer);
        return compressed.ToArray();
    }

    private static object Descriptor(string type, byte[] content) =>
        new { mediaType = type, digest = Digest(content), size = content.Length };

    private static byte[] Json(object value) => JsonSerializer.SerializeToUtf8Bytes(value);
}
