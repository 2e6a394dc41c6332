using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>Answers from a stored entry: the whole of it, a range, 304, 412 or 416.</summary>
internal sealed partial class CacheHits(CacheStore store, CacheStats stats, ILogger<CacheHits> log)
{
    /// <summary>Sends the answer and releases the body.</summary>
    /// <param name="context">The client's request.</param>
    /// <param name="target">What it asks for.</param>
    /// <param name="body">The bytes.</param>
    /// <param name="proven">What the origin says of them for this address; null when that is what was stored with them.</param>
    /// <returns>False, with nothing sent, when the body cannot be read or turned out to be altered: the request is a miss.</returns>
    public async Task<bool> TrySendAsync(HttpContext context, CacheTarget target, StoredBody body, StoredRecord? proven = null)
    {
        using var reader = Prepare(context, target, body, proven ?? body.Record, out var end);
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
        catch (Exception e) when (e is IOException or UnauthorizedAccessException && !context.RequestAborted.IsCancellationRequested)
        {
            // Damage is proven by reading; a disk that cannot be read at the moment proves nothing.
            if (e is DamagedBodyException)
                store.Drop(body.Entry, e.Message);
            else
                store.Close(body.Entry);
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
    private static StoredReader? Prepare(HttpContext context, CacheTarget target, StoredBody body, StoredRecord record, out long end)
    {
        var (request, response) = (context.Request, context.Response);
        foreach (var (name, value) in record.Fields)
            response.Headers[name] = value;
        response.Headers["X-Cache"] = "HIT";
        if (Flow.Of(context) is { Cache: FlowCache.None or FlowCache.Miss } flow)
            flow.Cache = FlowCache.Hit;
        response.Headers["X-Cache-Date"] = record.StoredAt;
        response.Headers.AcceptRanges = "bytes";
        RegistryFields.Complete(response.Headers, target, body, context);

        end = body.Length;
        long from = 0;
        // Conditions and ranges are about a 200 (RFC 9110, 13.2.1 and 14.2).
        var metadata = record.Metadata;
        // RFC 9111, 4.3.2: where the origin did not say when it was changed, when it was sent counts.
        response.StatusCode = metadata.Status == 200 ? Precondition.EvaluateStored(request, metadata.ETag, metadata.LastModified ?? metadata.Header("Date")) : metadata.Status;
        if (response.StatusCode == StatusCodes.Status200OK)
            (from, end) = ApplyRange(request, response, body, metadata);
        var hasBody = response.StatusCode is not (204 or 304 or 412 or 416);
        if (hasBody)
            response.ContentLength = end - from;
        if (hasBody && !Methods.IsHead(request.Method) && from < end)
            return new StoredReader(body, from);
        body.Release();
        return null;
    }

    private static (long From, long End) ApplyRange(HttpRequest request, HttpResponse response, StoredBody body, EntryMetadata metadata)
    {
        // RFC 9110, 14.2: ranges are defined for GET alone. Of an empty body there is no range, and no client is helped by 416 (as in Go's net/http).
        if (!Methods.IsGet(request.Method) || body.Length == 0 || RangeRequest.Of(request) is not { } range
            || !RangeRequest.IsFor(request, metadata.ETag, metadata.LastModified))
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
        LogHit(ProxiedRequest.Of(context).Path, ProxiedRequest.Of(context).Id);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "cache hit {Path} {Id}")]
    private partial void LogHit(string path, string id);
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
