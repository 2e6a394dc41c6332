using System.Text.Json;

namespace Discobot.Features.Cache.Warming;

/// <summary><c>POST /api/cache/warm</c>: brings things in, and tells how far it is while it goes on; <c>GET</c> tells everybody else.</summary>
internal static class WarmEndpoint
{
    public const int MaxItems = 1000;
    private const int MaxBody = 4 << 20;

    // A client that waits has to see that somebody is there.
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(5);

    public static void MapWarming(this IEndpointRouteBuilder endpoints)
    {
        var warmer = endpoints.ServiceProvider.GetRequiredService<CacheWarmer>();
        RequestDelegate warm = context => AnswerAsync(context, warmer);
        endpoints.MapPost("/api/cache/warm", warm);
        var status = endpoints.ServiceProvider.GetRequiredService<WarmStatus>();
        RequestDelegate show = context =>
        {
            context.Response.Headers.CacheControl = "no-store";
            return context.Response.WriteAsJsonAsync(status.Now(), WarmJson.Default.WarmStanding);
        };
        endpoints.MapGet("/api/cache/warm", show);
    }

    private static async Task AnswerAsync(HttpContext context, CacheWarmer warmer)
    {
        if (!context.Request.HasJsonContentType())
        {
            await ContentsEndpoints.RefuseAsync(context, StatusCodes.Status415UnsupportedMediaType, "the body must be application/json");
            return;
        }

        var cancel = context.RequestAborted;
        WarmRequest? request;
        try
        {
            request = await JsonSerializer.DeserializeAsync(new LimitedStream(context.Request.Body, MaxBody), WarmJson.Default.WarmRequest, cancel);
        }
        catch (JsonException)
        {
            await ContentsEndpoints.RefuseAsync(context, StatusCodes.Status400BadRequest, """the body must be as in {"items":[{"name":"alpine","image":"alpine:3"}]}""");
            return;
        }

        var items = request?.Items is { Count: > 0 and <= MaxItems } list && list.All(i => i is { Name.Length: > 0 }) ? list : null;
        var platform = WarmPlatform.Parse(request?.Platform);
        if (items is null || platform is null)
        {
            await ContentsEndpoints.RefuseAsync(context, StatusCodes.Status400BadRequest, items is null
                ? $"items must be 1 to {MaxItems} things, each with a name" : "platform must be as in linux/arm64");
            return;
        }

        context.Response.ContentType = "application/json; charset=utf-8";
        await WriteAsync(context, warmer.WarmAsync(items, platform, cancel), cancel);
    }

    private static async Task WriteAsync(HttpContext context, IAsyncEnumerable<WarmProgress> progress, CancellationToken cancel)
    {
        var output = context.Response.BodyWriter;
        await using var json = new Utf8JsonWriter(output);
        json.WriteStartArray();
        WarmProgress? last = null;
        await using var steps = progress.GetAsyncEnumerator(cancel);
        for (var next = steps.MoveNextAsync().AsTask(); ;)
        {
            if (last is not null && await Task.WhenAny(next, Task.Delay(Heartbeat, cancel)) != next)
            {
                JsonSerializer.Serialize(json, last, WarmJson.Default.WarmProgress);
            }
            else
            {
                if (!await next)
                    break;
                last = steps.Current;
                JsonSerializer.Serialize(json, last, WarmJson.Default.WarmProgress);
                next = steps.MoveNextAsync().AsTask();
            }

            await json.FlushAsync(cancel);
            await output.FlushAsync(cancel);
        }

        json.WriteEndArray();
        await json.FlushAsync(cancel);
        await output.FlushAsync(cancel);
    }

    /// <summary>As much of a stream as may be read; more is as good as broken JSON.</summary>
    private sealed class LimitedStream(Stream inner, long left) : Stream
    {
        private long _left = left;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await inner.ReadAsync(buffer, cancellationToken);
            _left -= read;
            return _left < 0 ? throw new JsonException("too long") : read;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
