using System.Collections.Concurrent;
using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace Discobot.Tests.Fixtures;

/// <summary>What <c>packages.py</c> has made of one ecosystem, served as public registries do: a validator for each document, which is packed for
/// whoever takes that, and a lifetime for none.</summary>
internal sealed class PackageRegistry : IDisposable
{
    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("discobot-registry-").FullName;

    /// <summary>Status, method and path of each request.</summary>
    public ConcurrentQueue<string> Asked { get; } = [];

    /// <param name="address">Where it is served, as its documents say.</param>
    /// <param name="ecosystem">As <c>packages.py</c> calls it.</param>
    public async Task MakeAsync(string address, string ecosystem)
    {
        using var made = Process.Start(new ProcessStartInfo("python3", [Path.Combine(Checkout.Top(), "tests.unit/Fixtures/packages.py"), Directory, address, ecosystem]) { RedirectStandardError = true })!;
        var errors = await made.StandardError.ReadToEndAsync();
        await made.WaitForExitAsync();
        Assert.True(made.ExitCode == 0, errors);
    }

    public async Task AnswerAsync(HttpContext context)
    {
        var path = Path.GetFullPath(Directory + context.Request.Path.Value);
        var (response, file) = (context.Response, System.IO.Directory.Exists(path) ? System.IO.Directory.GetFiles(path, "index.*").FirstOrDefault() : path);
        if (File.Exists(path + ".moved"))
        {
            response.Redirect(await File.ReadAllTextAsync(path + ".moved"));
        }
        else if (!File.Exists(file))
        {
            response.StatusCode = StatusCodes.Status404NotFound;
        }
        else
        {
            await SendAsync(context, await File.ReadAllBytesAsync(file));
            return;
        }

        Note(context);
    }

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);

    private async Task SendAsync(HttpContext context, byte[] body)
    {
        // What RubyGems' clients check: its tags are the documents' own digests.
#pragma warning disable CA5351 // It is theirs.
        var tag = $"\"{Convert.ToHexStringLower(MD5.HashData(body))}\"";
#pragma warning restore CA5351
        var response = context.Response;
        response.Headers.ETag = tag;
        response.ContentType = "application/octet-stream";
        response.Headers.Vary = "Accept-Encoding";
        if (context.Request.Headers.IfNoneMatch == tag)
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            Note(context);
            return;
        }

        // A part of a document is of what it is unpacked.
        if (IsText(body) && context.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.Ordinal) && context.Request.Headers.Range.Count == 0)
        {
            using var packed = new MemoryStream();
            using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
                gzip.Write(body);
            body = packed.ToArray();
            response.Headers.ContentEncoding = "gzip";
        }

        response.ContentLength = body.Length;
        Note(context);
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(body);
    }

    private static bool IsText(byte[] body) => body.All(b => b is >= 0x20 and < 0x7f or (byte)'\n');

    private void Note(HttpContext context) => Asked.Enqueue($"{context.Response.StatusCode} {context.Request.Method} {context.Request.Path}");
}
