using System.Diagnostics;
using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Registries;

/// <summary>skopeo, which asks by HEAD what it has to push, and a real registry: what was pulled from one repository is in another when it was pushed there.</summary>
public sealed class PushAfterPullTests : IAsyncLifetime, IDisposable
{
    // Longer than any of it takes on a machine that is busy with other things.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private TestParent _parent = null!;
    private RunningProxy _proxy = null!;
    private HttpClient _client = null!;
    private DockerRegistry _registry = null!;
    private string _layer = "";

    private string Registry => _registry.Address;

    public async Task InitializeAsync()
    {
        _parent = TestParent.Start();
        _proxy = await RunningProxy.StartAsync(proxySection: $", upstream: 'http://127.0.0.1:{_parent.Port}'");
        _registry = await DockerRegistry.StartAsync(_proxy.Upstreams);
        await WriteAsync("policy.json", "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}"u8.ToArray());
        await MakeImageAsync();
        _client = _proxy.Client();
    }

    public async Task DisposeAsync()
    {
        await _registry.DisposeAsync();
        await _proxy.DisposeAsync();
        await _parent.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task What_was_pulled_is_in_another_repository_once_it_was_pushed_there_and_not_before()
    {
        await SkopeoAsync("copy", "oci:image", $"docker://{Registry}/one:v1");
        await SkopeoAsync("copy", $"docker://{Registry}/one:v1", "dir:pulled");
        await SkopeoAsync("copy", $"docker://{Registry}/one:v1", "dir:again");
        Assert.Contains("cache hit", await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, await HeadAsync("one"));
        // As crane asks before it pushes.
        Assert.Equal(HttpStatusCode.NotFound, await HeadAsync("two"));

        await SkopeoAsync("copy", "dir:pulled", $"docker://{Registry}/two:v1");
        Assert.Equal(HttpStatusCode.OK, await HeadAsync("two"));
        Assert.Equal(HttpStatusCode.NotFound, await HeadAsync("three"));
        await SkopeoAsync("copy", $"docker://{Registry}/one:v1", $"docker://{Registry}/three:v1");

        // Past the proxy: the registry itself has all of it.
        foreach (var repository in new[] { "two", "three" })
        {
            Assert.True(_registry.Has(repository, _layer), repository);
            await SkopeoAsync("copy", $"docker://{Registry}/{repository}:v1", $"dir:{repository}");
            Assert.Equal(_layer, Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Path.Join(_directory, repository, _layer)))));
        }
    }

    private async Task<HttpStatusCode> HeadAsync(string repository)
    {
        using var message = new HttpRequestMessage(HttpMethod.Head, $"https://{Registry}/v2/{repository}/blobs/sha256:{_layer}");
        using var answer = await _client.SendAsync(message);
        return answer.StatusCode;
    }

    private async Task MakeImageAsync()
    {
        var content = new byte[300_000];
        Random.Shared.NextBytes(content);
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            gzip.Write(content);
        var layer = await BlobAsync(packed.ToArray(), "layer.v1.tar+gzip");
        _layer = ((string)layer["digest"])["sha256:".Length..];
        var config = await BlobAsync(JsonSerializer.SerializeToUtf8Bytes(new
        {
            architecture = "amd64",
            os = "linux",
            rootfs = new { type = "layers", diff_ids = new[] { $"sha256:{Convert.ToHexStringLower(SHA256.HashData(content))}" } },
        }), "config.v1+json");
        var manifest = await BlobAsync(JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, config, layers = new[] { layer } }), "manifest.v1+json");
        await WriteAsync("image/index.json", JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, manifests = new[] { manifest } }));
        await WriteAsync("image/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"u8.ToArray());
    }

    private async Task<Dictionary<string, object>> BlobAsync(byte[] bytes, string type)
    {
        var digest = Convert.ToHexStringLower(SHA256.HashData(bytes));
        await WriteAsync($"image/blobs/sha256/{digest}", bytes);
        return new() { ["mediaType"] = $"application/vnd.oci.image.{type}", ["digest"] = $"sha256:{digest}", ["size"] = bytes.Length };
    }

    private Task WriteAsync(string name, byte[] bytes)
    {
        var path = Path.Join(_directory, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return File.WriteAllBytesAsync(path, bytes);
    }

    private async Task SkopeoAsync(params string[] words)
    {
        var start = new ProcessStartInfo("skopeo", ["--policy", "policy.json", .. words]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _directory };
        start.Environment["HTTPS_PROXY"] = $"http://127.0.0.1:{_proxy.Port}";
        start.Environment["NO_PROXY"] = start.Environment["no_proxy"] = "";
        start.Environment["HOME"] = _directory;
        start.Environment["SSL_CERT_FILE"] = Path.Join(Path.GetDirectoryName(_proxy.LogFile), "certs/ca.crt");
        using var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            var said = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, string.Concat(said));
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
