using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>Answers from a stored entry: the whole of it, a range, 304, 412 or 416.</summary>
internal sealed partial class CacheHits(CacheStore store, CacheStats stats, ILogger<CacheHits> log)
{
    /// <summary>Sends the answer and releases the body.</summary>
    /// <returns>False, with nothing sent, when the entry turned out to be altered: it is gone, and the request is a miss.</returns>
    public async Task<bool> TrySendAsync(HttpContext context, CacheTarget target, StoredBody body)
    {
        using var reader = Prepare(context, target, body, out var end);
        if (reader is null)
        {
            Count(context, 0);
            return true;
        }

        try
        {
            Count(context, body.InMemory && reader.Position == 0 && end == body.Length
                ? await SendBytesAsync(context.Response, body.Bytes)
                : await BodySender.SendAsync(context.Response, reader, end, context.RequestAborted));
        }
        catch (Exception e) when (e is IOException && !context.RequestAborted.IsCancellationRequested)
        {
            store.Drop(body.Entry, e.Message);
            if (!context.Response.HasStarted)
            {
                context.Response.Clear();
                return false;
            }

            context.Abort();
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            context.Abort();
        }

        return true;
    }

    // Puts the head on the answer; null when that is all of it.
    private static StoredReader? Prepare(HttpContext context, CacheTarget target, StoredBody body, out long end)
    {
        var (request, response) = (context.Request, context.Response);
        foreach (var (name, value) in body.Fields)
            response.Headers[name] = value;
        response.Headers["X-Cache"] = "HIT";
        response.Headers["X-Cache-Date"] = body.StoredAt;
        response.Headers.AcceptRanges = "bytes";
        RegistryFields.Complete(response.Headers, target, body, context);

        end = body.Length;
        long from = 0;
        response.StatusCode = Precondition.Evaluate(request, body.Metadata);
        if (response.StatusCode == StatusCodes.Status200OK)
            (from, end) = ApplyRange(request, response, body);
        if (response.StatusCode is 200 or 206)
            response.ContentLength = end - from;
        if (response.StatusCode is 200 or 206 && !HttpMethods.IsHead(request.Method) && from < end)
            return new StoredReader(body, from);
        body.Release();
        return null;
    }

    private static (long From, long End) ApplyRange(HttpRequest request, HttpResponse response, StoredBody body)
    {
        // RFC 9110, 14.2: ranges are defined for GET alone.
        if (!HttpMethods.IsGet(request.Method) || RangeRequest.Of(request) is not { } range
            || !RangeRequest.IsFor(request, body.Metadata.ETag, body.Metadata.LastModified))
            return (0, body.Length);
        if (range.Within(body.Length) is not var (from, end))
        {
            response.StatusCode = StatusCodes.Status416RangeNotSatisfiable;
            response.Headers.ContentRange = $"bytes */{body.Length}";
            response.Headers.Remove("Content-Type");
            response.ContentLength = 0;
            return (0, 0);
        }

        response.StatusCode = StatusCodes.Status206PartialContent;
        response.Headers.ContentRange = $"bytes {from}-{end - 1}/{body.Length}";
        return (from, end);
    }

    private static async ValueTask<long> SendBytesAsync(HttpResponse response, ReadOnlyMemory<byte> bytes)
    {
        await response.BodyWriter.WriteAsync(bytes);
        return bytes.Length;
    }

    private void Count(HttpContext context, long bytes)
    {
        stats.Hit();
        stats.Served(bytes);
        LogHit(ProxiedRequest.Of(context).Path);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "cache hit {Path}")]
    private partial void LogHit(string path);
}

/// <summary>What registry clients expect on answers under <c>/v2/</c>, also when the body was stored from a CDN's answer.</summary>
internal static class RegistryFields
{
    public static void Complete(IHeaderDictionary headers, CacheTarget target, StoredBody body, HttpContext context)
    {
        if (target.Digest is not { IsAddress: true } || !ProxiedRequest.Of(context).PathAndQuery.StartsWith("/v2/", StringComparison.Ordinal))
            return;
        headers.TryAdd("Docker-Content-Digest", body.Digest);
        headers.TryAdd("Docker-Distribution-Api-Version", "registry/2.0");
    }
}
