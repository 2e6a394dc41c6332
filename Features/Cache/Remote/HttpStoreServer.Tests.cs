using System.Collections.Concurrent;
using Discobot.Infrastructure.Config;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Remote;

/// <summary>Keeps what is put below <c>/cas/</c>, as bazel-remote does.</summary>
internal sealed class HttpStoreServer
{
    public static readonly SecretText Authorization = new(SecretSource.Literal, "Basic b3BlcmF0b3I6c2VjcmV0");

    private readonly ConcurrentDictionary<string, byte[]> _kept = new();

    public byte[]? this[byte[] body] => _kept.GetValueOrDefault($"/cas/{TemporaryCache.HexOf(body)}");

    public void Put(byte[] body, byte[] stored) => _kept[$"/cas/{TemporaryCache.HexOf(body)}"] = stored;

    public async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        if (context.Request.Headers.Authorization != Authorization.Text)
            context.Response.StatusCode = 401;
        else if (!path.StartsWith("/cas/", StringComparison.Ordinal) || path.Length != 5 + 64)
            context.Response.StatusCode = 400;
        else if (context.Request.Method == "PUT")
        {
            using var memory = new MemoryStream();
            await context.Request.Body.CopyToAsync(memory);
            context.Response.StatusCode = TemporaryCache.HexOf(memory.ToArray()) == path[5..] ? 201 : 400;
            _kept[path] = memory.ToArray();
        }
        else if (_kept.TryGetValue(path, out var body))
        {
            context.Response.ContentLength = body.Length;
            if (context.Request.Method == "GET")
                await context.Response.Body.WriteAsync(body);
        }
        else
            context.Response.StatusCode = 404;
    }
}
