using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Cache.Downloads;

/// <summary>Passes an answer on that is not stored.</summary>
internal static class UpstreamRelay
{
    private const int ChunkSize = 64 << 10;

    /// <summary>Sends head and body as they came. A body that breaks off, breaks off for the client too.</summary>
    /// <param name="context">The client's request.</param>
    /// <param name="response">Upstream's answer, disposed here.</param>
    /// <param name="missed">Whether it answers what the cache might have answered: then it says so.</param>
    public static async Task SendAsync(HttpContext context, HttpResponseMessage response, bool missed)
    {
        using (response)
        {
            var answer = context.Response;
            answer.StatusCode = (int)response.StatusCode;
            context.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = response.ReasonPhrase;
            EndToEnd.CopyTo(answer, EndToEnd.Headers(response));
            var isEmpty = StatusWithoutContent.Is(answer.StatusCode, context.Request);
            if (isEmpty)
                answer.ContentLength = null;
            if (missed)
            {
                answer.Headers["X-Cache"] = "MISS";
                Flow.Of(context)?.Cache = FlowCache.Miss;
            }

            if (isEmpty || Methods.IsHead(context.Request.Method))
                return;
            try
            {
                await CopyAsync(response, answer, context.RequestAborted);
            }
            catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException)
            {
                context.Abort();
            }
        }
    }

    private static async Task CopyAsync(HttpResponseMessage response, HttpResponse answer, CancellationToken cancel)
    {
        var body = await response.Content.ReadAsStreamAsync(cancel);
        var writer = answer.BodyWriter;
        while (true)
        {
            var read = await body.ReadAsync(writer.GetMemory(ChunkSize)[..ChunkSize], cancel);
            if (read == 0)
                return;
            writer.Advance(read);
            if ((await writer.FlushAsync(cancel)).IsCompleted)
                return;
        }
    }
}
