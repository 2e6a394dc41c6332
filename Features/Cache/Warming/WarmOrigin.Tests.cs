using System.Collections.Concurrent;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Warming;

/// <summary>A registry of one image for two platforms, a tarball and a Python project, as the public ones answer.</summary>
internal sealed class WarmOrigin : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly TestAuthority _authority = new();
    private readonly Dictionary<string, (byte[] Body, string Type)> _content = [];
    private readonly ConcurrentDictionary<string, bool> _refused = new();
    private TestOrigin? _server;

    /// <summary><c>auth</c>, <c>redirect</c>, <c>busy</c> (each address once), <c>json</c> or <c>html</c> for the index.</summary>
    public string Behaviour { get; set; } = "";

    /// <summary>A digest that it does not have.</summary>
    public string Missing { get; set; } = "none";

    /// <summary>What the tarball holds, and the coding that it is sent in.</summary>
    public string Tarball { get; set; } = "tarball";

    public string Coding { get; set; } = "";

    /// <summary>What the wheel holds; the index goes on naming the hash of the right one.</summary>
    public string Wheel { get; set; } = "wheel";

    public ConcurrentQueue<string> Asked { get; } = new();

    public string Http { get; private set; } = "";

    public string Authority => Http["http://".Length..];

    public string IndexDigest { get; private set; } = "";

    public string WheelHash { get; } = Convert.ToHexStringLower(SHA256.HashData("wheel"u8));

    public static async Task<WarmOrigin> StartAsync()
    {
        var origin = new WarmOrigin();
        origin.IndexDigest = origin.Add(
            $$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{origin.Manifest("amd64", "")}},{{origin.Manifest("arm64", "v8")}},
            {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{{new string('0', 64)}}","size":2,"platform":{"os":"unknown","architecture":"unknown"} }]}
            """, "application/vnd.oci.image.index.v1+json");
        origin._server = await TestOrigin.StartAsync(origin._authority.Issue(["localhost"]), origin.AnswerAsync);
        origin.Http = origin._server.Http;
        return origin;
    }

    public string Write(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllText(path, text);
        return path;
    }

    public static string BlobOf(string architecture) => DigestOf(Layer(architecture));

    public static string ConfigOf(string architecture) => DigestOf(Config(architecture));

    public static string ManifestOf(string architecture) => DigestOf(Encoding.UTF8.GetBytes(ManifestText(architecture)));

    public async ValueTask DisposeAsync()
    {
        if (_server is null)
            return;
        await _server.DisposeAsync();
        _server = null;
        Directory.Delete(_directory, recursive: true);
        _authority.Dispose();
    }

    private string Manifest(string architecture, string variant)
    {
        Add(Layer(architecture), "application/octet-stream");
        Add(Config(architecture), "application/octet-stream");
        var text = ManifestText(architecture);
        return $$"""{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{{Add(text, "application/vnd.oci.image.manifest.v1+json")}}","size":{{text.Length}},"platform":{"os":"linux","architecture":"{{architecture}}"{{(variant.Length > 0 ? $",\"variant\":\"{variant}\"" : "")}} } }""";
    }

    private static string ManifestText(string architecture) =>
        $$"""{"schemaVersion":2,"config":{"digest":"{{ConfigOf(architecture)}}","size":{{Config(architecture).Length}}},"layers":[{"digest":"{{BlobOf(architecture)}}","size":{{Layer(architecture).Length}}}]}""";

    private static byte[] Layer(string architecture) => Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(architecture, 100_000)));

    private static byte[] Config(string architecture) => Encoding.UTF8.GetBytes($$"""{"architecture":"{{architecture}}"}""");

    private static string DigestOf(byte[] body) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(body));

    private string Add(string text, string type) => Add(Encoding.UTF8.GetBytes(text), type);

    private string Add(byte[] body, string type)
    {
        _content[DigestOf(body)] = (body, type);
        return DigestOf(body);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        var name = path.Split('/')[^1] is "v1" && path.Contains("/team/app/", StringComparison.Ordinal) ? IndexDigest : path.Split('/')[^1];
        if (Behaviour == "busy" && _refused.TryAdd(path, true))
        {
            (context.Response.StatusCode, context.Response.Headers.RetryAfter) = (503, "0");
            return;
        }

        if (path == "/token")
        {
            await context.Response.WriteAsync(context.Request.Query["scope"] == "repository:team/app:pull" && context.Request.Query["service"] == "r" ? """{"token":"t0ken"}""" : "{}");
            return;
        }

        if (Behaviour == "auth" && path.StartsWith("/v2/", StringComparison.Ordinal) && context.Request.Headers.Authorization != "Bearer t0ken")
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{Http}/token\",service=\"r\",scope=\"repository:team/app:pull\"";
            return;
        }

        if (Behaviour == "redirect" && path.Contains("/blobs/", StringComparison.Ordinal))
        {
            context.Response.Redirect($"{Http}/storage/{name}?X-Amz-Signature=s");
            return;
        }

        Asked.Enqueue(name == Missing ? "404 " + path : path);
        var (body, type) = name == Missing ? (null, null) : path.StartsWith("/v2/team/none", StringComparison.Ordinal) ? (null, null) : Content(path, name);
        if (body is null)
        {
            context.Response.StatusCode = 404;
            return;
        }

        context.Response.ContentType = type;
        if (Coding.Length > 0 && path.EndsWith(".tgz", StringComparison.Ordinal))
            context.Response.Headers.ContentEncoding = Coding;
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body);
    }

    private byte[] Coded(string text)
    {
        var packed = new MemoryStream();
        using (var packing = Coding == "gzip" ? new GZipStream(packed, CompressionMode.Compress) : (Stream)packed)
            packing.Write(Encoding.UTF8.GetBytes(text));
        return packed.ToArray();
    }

    private static byte[] Zip(params (string Name, string Text)[] files)
    {
        var packed = new MemoryStream();
        using (var zip = new ZipArchive(packed, ZipArchiveMode.Create))
        {
            foreach (var (name, text) in files)
            {
                using var file = new StreamWriter(zip.CreateEntry(name).Open());
                file.Write(text);
            }
        }

        return packed.ToArray();
    }

    private (byte[]? Body, string? Type) Content(string path, string name) => path switch
    {
        _ when _content.TryGetValue(name, out var known) => known,
        "/left/-/left-1.0.0.tgz" => (Coded(Tarball), "application/octet-stream"),
        "/x/@v/v1.0.0.zip" => (Zip(("x@v1.0.0/go.mod", "module x"), ("x@v1.0.0/Z.go", "package x")), "application/zip"),
        "/y/@v/v1.0.0.zip" => ("no zip"u8.ToArray(), "application/zip"),
        "/packages/foo-1.0-py3-none-any.whl" => (Encoding.UTF8.GetBytes(Wheel), "application/octet-stream"),
        "/packages/foo-1.0-py3-none-any.whl.metadata" => ("metadata"u8.ToArray(), "text/plain"),
        "/simple/foo/" when Behaviour == "html" => (Encoding.UTF8.GetBytes(
            $"<html><a href=\"../../packages/foo-1.0-py3-none-any.whl#sha256={WheelHash}\" data-core-metadata=\"sha256=00\">foo-1.0-py3-none-any.whl</a><a href='/packages/foo-1.0.tar.gz'>x</a></html>"), "text/html"),
        "/simple/foo/" => (Encoding.UTF8.GetBytes(
            $$"""{"files":[{"filename":"foo-1.0-py3-none-any.whl","url":"{{Http}}/packages/foo-1.0-py3-none-any.whl","hashes":{"sha256":"{{WheelHash}}"},"core-metadata":{"sha256":"00"} },{"filename":"foo-1.0.tar.gz","url":"/packages/foo-1.0.tar.gz","hashes":{} }]}"""), "application/vnd.pypi.simple.v1+json"),
        _ => (null, null),
    };
}
