using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>From a download under way to one of its clients.</summary>
internal sealed partial class CacheMisses
{
    private async Task SendAsync(
        HttpContext context, Fill fill, IBodyReader reader, IReadOnlyList<KeyValuePair<string, string>> headers, RangeRequest? range)
    {
        using (reader)
        {
            var end = Head(context, fill, headers, range);
            stats.Miss();
            LogMiss(ProxiedRequest.Of(context).Path);
            try
            {
                stats.Served(await BodySender.SendAsync(context.Response, reader, end, context.RequestAborted));
            }
            catch (FillBrokenException e) when (!context.Response.HasStarted)
            {
                await ProxyErrors.WriteAsync(context, new ProxyError(502, "upstream_body", $"The answer was not passed on: {e.Message}."));
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // Never a clean end: the client must see that it did not get everything.
                context.Abort();
            }
        }
    }

    private static long Head(HttpContext context, Fill fill, IReadOnlyList<KeyValuePair<string, string>> headers, RangeRequest? range)
    {
        var response = context.Response;
        EndToEnd.CopyTo(response, headers);
        response.Headers["X-Cache"] = "MISS";
        response.StatusCode = StatusCodes.Status200OK;
        if (fill.Length is not { } length)
            return long.MaxValue;
        response.ContentLength = length;
        if (range?.Within(length) is not var (from, end) || !IsFor(context, fill))
            return long.MaxValue;
        response.StatusCode = StatusCodes.Status206PartialContent;
        response.Headers.ContentRange = $"bytes {from}-{end - 1}/{length}";
        response.ContentLength = end - from;
        return end;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "cache miss {Path}")]
    private partial void LogMiss(string path);
}
