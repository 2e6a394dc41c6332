using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// The requests of clients that push, in their order, to two registries of which one is behind the proxy: each answer, and what the registry has
/// afterwards, is the same. crane and BuildKit's exporter are not in Debian, so their requests are written down here from their sources
/// (go-containerregistry's <c>remote.Write</c>, containerd's pusher, by which BuildKit exports its cache); real clients are in
/// <see cref="PushAfterPullTests"/> and in the integration tests.
/// </summary>
public sealed partial class PushExchangesTests : IAsyncLifetime
{
    private const string ManifestType = "application/vnd.oci.image.manifest.v1+json";
    private const string IndexType = "application/vnd.oci.image.index.v1+json";

    // Accept-Ranges: of what is stored there are ranges, also of manifests.
    private static readonly string[] FieldsOfTheCache = ["X-Cache", "X-Cache-Date", "Accept-Ranges"];

    private readonly byte[] _layer = RandomNumberGenerator.GetBytes(300_000);
    private readonly byte[] _second = RandomNumberGenerator.GetBytes(2_000);
    private readonly byte[] _config = """{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"""u8.ToArray();
    private TestParent _parent = null!;
    private RunningProxy _proxy = null!;
    private Side _direct = null!;
    private Side _proxied = null!;

    public async Task InitializeAsync()
    {
        _parent = TestParent.Start();
        _proxy = await RunningProxy.StartAsync(proxySection: $", upstream: 'http://127.0.0.1:{_parent.Port}'");
        var registries = await Task.WhenAll(DockerRegistry.StartAsync(_proxy.Upstreams), DockerRegistry.StartAsync(_proxy.Upstreams));
        _direct = Side.Of(registries[0], Direct(registries[0]), Direct(registries[0]));
        _proxied = Side.Of(registries[1], _proxy.Client(), Direct(registries[1]));
    }

    public async Task DisposeAsync()
    {
        await _direct.DisposeAsync();
        await _proxied.DisposeAsync();
        await _proxy.DisposeAsync();
        await _parent.DisposeAsync();
    }

    [Fact]
    public async Task What_crane_asks_and_sends_after_a_pull_is_answered_as_without_a_proxy()
    {
        await BothAsync(async side =>
        {
            await PullAsync(side);
            foreach (var (repository, from) in new[] { ("one", "one"), ("mounted", "one"), ("sent", null), ("mounted", "one") })
            {
                await side.AskAsync(HttpMethod.Get, "/v2/");
                foreach (var blob in new[] { _layer, _second, _config })
                {
                    if (await side.AskAsync(HttpMethod.Head, $"/v2/{repository}/blobs/{Digest(blob)}") is { StatusCode: HttpStatusCode.OK })
                        continue;
                    var query = from is null ? "" : $"?from={from}&mount={Uri.EscapeDataString(Digest(blob))}&origin={DockerRegistry.Name}";
                    var begun = await side.AskAsync(HttpMethod.Post, $"/v2/{repository}/blobs/uploads/{query}", [], "application/json");
                    if (begun.StatusCode == HttpStatusCode.Created)
                        continue;
                    var sent = await side.AskAsync(HttpMethod.Patch, begun.Location!, blob);
                    await side.AskAsync(HttpMethod.Put, $"{sent.Location}&digest={Uri.EscapeDataString(Digest(blob))}", []);
                }

                foreach (var reference in new[] { Digest(Manifest), "v1" })
                {
                    await side.AskAsync(HttpMethod.Head, $"/v2/{repository}/manifests/{reference}", accept: ManifestType);
                    await side.AskAsync(HttpMethod.Put, $"/v2/{repository}/manifests/{reference}", Manifest, ManifestType);
                    await side.AskAsync(HttpMethod.Head, $"/v2/{repository}/manifests/{reference}", accept: ManifestType);
                }
            }
        });
        Assert.Contains(_proxied.Said, line => line.StartsWith("POST /v2/mounted/blobs/uploads/", StringComparison.Ordinal) && line.Contains(" 201 ", StringComparison.Ordinal));
        Assert.Contains(_proxied.Said, line => line.StartsWith("HEAD /v2/sent/blobs/", StringComparison.Ordinal) && line.Contains(" 404 ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_cache_that_BuildKit_exports_after_a_pull_is_there_as_without_a_proxy()
    {
        var cacheConfig = JsonSerializer.SerializeToUtf8Bytes(new { layers = new[] { new { blob = Digest(_layer), parent = -1 } }, records = Array.Empty<object>() });
        var index = JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            mediaType = IndexType,
            manifests = new[] { Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", _layer), Descriptor("application/vnd.buildkit.cacheconfig.v0", cacheConfig) },
        });
        await BothAsync(async side =>
        {
            await PullAsync(side);
            // The second time everything is there, and the third the tag names something else.
            foreach (var (content, from) in new[] { (index, "one"), (index, "one"), ([.. index, (byte)'\n'], null) })
            {
                foreach (var (blob, type) in new[] { (_layer, "application/vnd.oci.image.layer.v1.tar+gzip"), (cacheConfig, "application/vnd.buildkit.cacheconfig.v0") })
                {
                    if (await side.AskAsync(HttpMethod.Head, $"/v2/cache/blobs/{Digest(blob)}", accept: $"{type}, */*") is { StatusCode: HttpStatusCode.OK })
                        continue;
                    var query = from is null || blob != _layer ? "" : $"?mount={Digest(blob)}&from={from}";
                    var begun = await side.AskAsync(HttpMethod.Post, $"/v2/cache/blobs/uploads/{query}", []);
                    if (begun.StatusCode != HttpStatusCode.Created)
                        await side.AskAsync(HttpMethod.Put, $"{begun.Location}&digest={Uri.EscapeDataString(Digest(blob))}", blob);
                }

                await side.AskAsync(HttpMethod.Head, "/v2/cache/manifests/latest", accept: $"{IndexType}, */*");
                await side.AskAsync(HttpMethod.Put, "/v2/cache/manifests/latest", content, IndexType);
                // Whoever imports it.
                await side.AskAsync(HttpMethod.Head, "/v2/cache/manifests/latest", accept: $"{IndexType}, */*");
                await side.AskAsync(HttpMethod.Get, $"/v2/cache/manifests/{Digest(content)}", accept: $"{IndexType}, */*");
                await side.AskAsync(HttpMethod.Get, $"/v2/cache/blobs/{Digest(cacheConfig)}", accept: "application/vnd.buildkit.cacheconfig.v0, */*");
                await side.AskAsync(HttpMethod.Get, $"/v2/cache/blobs/{Digest(_layer)}");
            }
        });
        Assert.Equal(3, _proxied.Said.Count(line => line.StartsWith("PUT /v2/cache/manifests/latest", StringComparison.Ordinal) && line.Contains(" 201 ", StringComparison.Ordinal)));
    }

    private byte[] Manifest => JsonSerializer.SerializeToUtf8Bytes(new
    {
        schemaVersion = 2,
        mediaType = ManifestType,
        config = Descriptor("application/vnd.oci.image.config.v1+json", _config),
        layers = new[] { Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", _layer), Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", _second) },
    });

    // Puts an image into each registry, past the proxy, and has the same asked of both.
    private async Task BothAsync(Func<Side, Task> exchange)
    {
        foreach (var side in new[] { _direct, _proxied })
        {
            await side.PrepareAsync("one", [_layer, _second, _config], Manifest);
            await exchange(side);
        }

        Assert.All(_direct.Said.Zip(_proxied.Said), said => Assert.Equal(said.First, said.Second));
        Assert.Equal(_direct.Said.Count, _proxied.Said.Count);
        Assert.Equal(_direct.Registry.Contents(), _proxied.Registry.Contents());
        Assert.Contains("cache hit", await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
    }

    private async Task PullAsync(Side side)
    {
        for (var time = 1; time <= 2; time++)
        {
            await side.AskAsync(HttpMethod.Head, "/v2/one/manifests/v1", accept: ManifestType);
            await side.AskAsync(HttpMethod.Get, $"/v2/one/manifests/{Digest(Manifest)}", accept: ManifestType);
            foreach (var blob in new[] { _config, _layer, _second })
                await side.AskAsync(HttpMethod.Get, $"/v2/one/blobs/{Digest(blob)}");
        }
    }

    private HttpClient Direct(DockerRegistry registry) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        SslOptions = { CertificateChainPolicy = _proxy.Upstreams.TrustOnlyThis() },
        ConnectCallback = async (_, cancel) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(registry.EndPoint, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });

    private static string Digest(byte[] content) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(content))}";

    private static object Descriptor(string type, byte[] content) => new { mediaType = type, digest = Digest(content), size = content.Length };

    private sealed record Answer(HttpStatusCode StatusCode, string? Location);

    /// <summary>A registry and the client that asks it.</summary>
    private sealed partial class Side(DockerRegistry registry, HttpClient client, HttpClient past) : IAsyncDisposable
    {
        /// <param name="registry">Owned, as the clients are.</param>
        /// <param name="client">Whose requests are compared.</param>
        /// <param name="past">Past the proxy.</param>
        public static Side Of(DockerRegistry registry, HttpClient client, HttpClient past) => new(registry, client, past);

        public DockerRegistry Registry => registry;

        /// <summary>Each request with all of its answer, but what is of this registry or this moment alone.</summary>
        public List<string> Said { get; } = [];

        public async Task<Answer> AskAsync(HttpMethod method, string place, byte[]? body = null, string type = "application/octet-stream", string? accept = null)
        {
            using var answer = await SendAsync(client, method, place, body, type, accept);
            var content = await answer.Content.ReadAsByteArrayAsync();
            var fields = answer.Headers.Concat(answer.Content.Headers).Where(field => field.Key != "Date" && !FieldsOfTheCache.Contains(field.Key))
                .Select(field => $"{field.Key}: {string.Join(", ", field.Value)}").Order(StringComparer.Ordinal);
            Said.Add(General($"{method} {place} {(int)answer.StatusCode} [{string.Join("; ", fields)}] {Digest(content)}"));
            return new Answer(answer.StatusCode, answer.Headers.Location?.OriginalString);
        }

        /// <summary>Puts an image into a repository, past the proxy.</summary>
        public async Task PrepareAsync(string repository, byte[][] blobs, byte[] manifest)
        {
            foreach (var blob in blobs)
            {
                using var begun = await SendAsync(past, HttpMethod.Post, $"/v2/{repository}/blobs/uploads/", []);
                using var done = await SendAsync(past, HttpMethod.Put, $"{begun.Headers.Location}&digest={Digest(blob)}", blob);
                Assert.Equal(HttpStatusCode.Created, done.StatusCode);
            }

            using var put = await SendAsync(past, HttpMethod.Put, $"/v2/{repository}/manifests/v1", manifest, ManifestType);
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        }

        public ValueTask DisposeAsync()
        {
            client.Dispose();
            past.Dispose();
            return registry.DisposeAsync();
        }

        private async Task<HttpResponseMessage> SendAsync(
            HttpClient through, HttpMethod method, string place, byte[]? body, string type = "application/octet-stream", string? accept = null)
        {
            using var request = new HttpRequestMessage(method, new Uri(new Uri($"https://{registry.Address}"), place));
            if (accept is not null)
                request.Headers.TryAddWithoutValidation("Accept", accept);
            if (body is not null)
                request.Content = new ByteArrayContent(body) { Headers = { ContentType = MediaTypeHeaderValue.Parse(type) } };
            return await through.SendAsync(request);
        }

        private string General(string text) =>
            States().Replace(Uploads().Replace(text.Replace(registry.Address, DockerRegistry.Name, StringComparison.Ordinal), "UPLOAD"), "_state=STATE");

        [GeneratedRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")]
        private static partial Regex Uploads();

        [GeneratedRegex("_state=[^&;\\] ]+")]
        private static partial Regex States();
    }
}
