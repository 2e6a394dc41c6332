using System.Text;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>
/// Stands in for a registry that is away. dockerd begins every pull with <c>GET /v2/</c> and gives up when that fails, although everything it
/// would ask for next may be stored: for hosts of which something is stored, we answer it.
/// </summary>
/// <remarks>Answered 200, the client asks for no token, so the token service may be away too; a token it still has is not looked at.</remarks>
internal sealed partial class AbsentRegistry(
    CacheStore store, CacheStats stats, IUpstream upstream, UpstreamRequests requests, ILogger<AbsentRegistry> log)
{
    // dockerd allows 15 s for the ping. A registry that does not answer it in 5 s while its images are here counts as away.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Whether this is the ping (OCI distribution 1.1, end-1) of a registry of which something is stored.</summary>
    public bool Concerns(ProxiedRequest request) => request.Path is "/v2/" or "/v2" && store.Index.HasHost(request.Authority);

    /// <summary>Asks the registry, and answers in its place if it cannot be reached.</summary>
    public async Task AskAsync(HttpContext context)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(Patience);
        HttpResponseMessage response;
        try
        {
            response = await upstream.SendAsync(requests.Create(context), limit.Token);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            await StandInAsync(context, UpstreamFailures.ToError(e, ProxiedRequest.Of(context).Target.Host));
            return;
        }

        // A gateway that stands in front of a registry and says that it is away.
        if ((int)response.StatusCode is 502 or 503 or 504)
        {
            var status = (int)response.StatusCode;
            response.Dispose();
            await StandInAsync(context, new ProxyError(502, "upstream_unreachable", $"a gateway answered {status}"));
            return;
        }

        await UpstreamRelay.SendAsync(context, response, missed: false);
    }

    private async Task StandInAsync(HttpContext context, ProxyError error)
    {
        if (!UpstreamFailures.IsUnreachable(error))
        {
            await ProxyErrors.WriteAsync(context, error);
            return;
        }

        stats.Offline();
        LogAbsent(ProxiedRequest.Of(context).Target.Host, error.Reason);
        var response = context.Response;
        response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        response.Headers["X-Cache"] = "HIT";
        response.ContentType = "application/json";
        response.ContentLength = 2;
        if (HttpMethods.IsGet(context.Request.Method))
            await response.BodyWriter.WriteAsync(Encoding.ASCII.GetBytes("{}"));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache stands in for a registry that is away {Host} {Reason}")]
    private partial void LogAbsent(string host, string reason);
}
