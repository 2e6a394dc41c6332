using System.Collections.Concurrent;
using Discobot.Integration.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Integration.Caching;

/// <summary>As much of a registry as a cache sees: blobs by digest, made up on demand, counted, and as slow as a test wants.</summary>
internal sealed class BlobOrigin
{
    private readonly ConcurrentDictionary<string, byte[]> _blobs = new();
    private readonly ConcurrentDictionary<string, int> _asked = new();

    /// <summary>The pause between the two halves of each body.</summary>
    public TimeSpan Pause { get; set; }

    /// <summary>Makes a blob of random bytes.</summary>
    /// <returns>Its path.</returns>
    public string Add(int size)
    {
        var content = new byte[size];
        Random.Shared.NextBytes(content);
        var path = $"/v2/app/blobs/{TestImage.Digest(content)}";
        _blobs[path] = content;
        return path;
    }

    public byte[] Content(string path) => _blobs[path];

    public int TimesAsked(string path) => _asked.GetValueOrDefault(path);

    public async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        if (!_blobs.TryGetValue(path, out var content))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        _asked.AddOrUpdate(path, 1, (_, times) => times + 1);
        context.Response.ContentLength = content.Length;
        await context.Response.Body.WriteAsync(content.AsMemory(0, content.Length / 2), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        await Task.Delay(Pause, context.RequestAborted);
        await context.Response.Body.WriteAsync(content.AsMemory(content.Length / 2), context.RequestAborted);
    }
}
