using System.Text;
using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// Stands in for a registry to which no connection can be made. dockerd begins every pull with <c>GET /v2/</c> and gives up when that fails,
/// although everything it would ask for next may be stored: for origins of which something is stored, we answer it.
/// </summary>
/// <remarks>
/// A registry that is slow or says 503 is asked and not spoken for, and one that should judge credentials is never spoken for: that would be a
/// login that accepts every password.
/// </remarks>
internal sealed partial class AbsentRegistry(
    CacheStore store, CacheHits hits, CacheStats stats, OriginReach reach, UpstreamRequests requests, ILogger<AbsentRegistry> log)
{
    /// <summary>Whether this is the ping (OCI distribution 1.1, end-1) of a registry of which something is stored.</summary>
    public bool Concerns(ProxiedRequest request) =>
        request.Path is "/v2/" or "/v2" && (store.Index.HasOrigin(CacheKey.OriginOf(request)) || store.Index.HasOrigin(request.Authority));

    /// <summary>Asks the registry, and answers in its place if no connection to it can be made.</summary>
    public async Task AskAsync(HttpContext context)
    {
        var (request, message) = (ProxiedRequest.Of(context), requests.Create(context));
        // The upstream request's: a header rule may have added them. A token may stand in the query; a mirror is told there which registry is meant.
        var isStoodInFor = !CredentialFields.AreIn(message) && CacheRules.IsNamespaceAtMost(request.PathAndQuery.AsSpan(request.Path.Length));
        if (isStoodInFor && reach.IsAway(request))
        {
            reach.Probe(request, requests.Create(new RequestSnapshot(context).Context));
            await StandInAsync(context, OriginReach.WasAway);
            return;
        }

        HttpResponseMessage response;
        try
        {
            response = await reach.AskAsync(request, message, isStoodInFor, context.RequestAborted);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            var error = UpstreamFailures.ToError(e, request.Target.Host);
            if (ConnectionFailure.Is(e) && isStoodInFor)
                await StandInAsync(context, error.Reason);
            else
                await ProxyErrors.WriteAsync(context, error);
            return;
        }

        await UpstreamRelay.SendAsync(context, response, missed: false);
    }

    /// <summary>
    /// Answers a GET for a digest that is here for another repository of the same origin, when no connection to that can be made. The fields are
    /// those that the bytes themselves tell.
    /// </summary>
    public async Task<bool> TryAnswerAsync(HttpContext context, CacheTarget target, Exception failure)
    {
        if (!target.Provable || !ConnectionFailure.Is(failure) || !Methods.IsGet(context.Request.Method))
            return false;
        var digest = target.Digest!.Value.Hash;
        if (await Task.Run(() => store.FindBody(digest, target.Key.Origin)) is not { } body)
            return false;
        if (NeutralFields.Of(target.Kind, body) is not { } fields)
        {
            body.Release();
            return false;
        }

        stats.Offline();
        LogAbsent(ProxiedRequest.Of(context).Target.Host, failure.Message, ProxiedRequest.Of(context).Id);
        Flow.Of(context)?.Cache = FlowCache.Stale;
        return await hits.TrySendAsync(context, target, body, new StoredRecord(body.Record.Metadata with { Key = target.Key.Text, Headers = fields }));
    }

    private async Task StandInAsync(HttpContext context, string reason)
    {
        stats.Offline();
        LogAbsent(ProxiedRequest.Of(context).Target.Host, reason, ProxiedRequest.Of(context).Id);
        Flow.Of(context)?.Cache = FlowCache.Stale;
        var response = context.Response;
        response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        response.Headers["X-Cache"] = "HIT";
        response.ContentType = "application/json";
        response.ContentLength = 2;
        if (Methods.IsGet(context.Request.Method))
            await response.BodyWriter.WriteAsync(Encoding.ASCII.GetBytes("{}"));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache stands in for a registry that is away {Host} {Reason} {Id}")]
    private partial void LogAbsent(string host, string reason, string id);
}
