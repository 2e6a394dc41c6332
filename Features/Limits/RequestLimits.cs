using System.Net;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;
using Prometheus;

namespace Discobot.Features.Limits;

/// <summary>The stage behind the allowlist that refuses what is more than a client may have of a host.</summary>
internal sealed partial class RequestLimits(
    RequestDelegate next, Live<LimitRules> rules, ClientUsage usage, IMetricFactory metrics, ILogger<RequestLimits> log)
{
    private readonly Counter _limited = metrics.CreateCounter(
        "discobot_limited_total", "Requests that were more than limits allow: requests, bytes or upload.", ["kind"]);

    public Task InvokeAsync(HttpContext context) =>
        rules.Value.Find(ProxiedRequest.Of(context).Target.Host) is { } limit ? JudgeAsync(context, limit) : next(context);

    private async Task JudgeAsync(HttpContext context, HostLimit limit)
    {
        if (Judge(context, limit, ClientOf(Flow.Of(context))) is { } error)
        {
            await ProxyErrors.WriteAsync(context, error);
            return;
        }

        if (limit.UploadSize is { } most && context.Request.ContentLength is null && context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true)
            context.Features.Set<IRequestBodyPipeFeature>(new LimitedUpload(context.Request.BodyReader, most, () => Tell(context, TooLarge(limit, most), "upload")));
        await next(context);
    }

    private ProxyError? Judge(HttpContext context, HostLimit limit, object client)
    {
        if (limit.UploadSize is { } most && context.Request.ContentLength > most)
            return Tell(context, TooLarge(limit, most), "upload");
        if (usage.Exhausted(limit, client) is { } day)
            return Tell(context, TooMany(limit, $"{Quantity.Format(limit.BytesPerDay!.Value)} a day, which this client has had today (UTC)", day), "bytes");
        if (usage.Request(limit, client) is { } wait)
            return Tell(context, TooMany(limit, $"{limit.RequestsPerSecond} requests a second to a client", wait), "requests");
        return null;
    }

    /// <summary>As whom a client is counted.</summary>
    public static object ClientOf(Flow? flow) => (object?)flow?.ClientName ?? flow?.Client?.Address?.Address ?? IPAddress.None;

    private static ProxyError TooMany(HostLimit limit, string what, TimeSpan wait) =>
        new(StatusCodes.Status429TooManyRequests, "limited", $"{limit.Rule} allows {what}.", limit.Rule) { RetryAfter = wait };

    private static ProxyError TooLarge(HostLimit limit, long most) =>
        new(StatusCodes.Status413PayloadTooLarge, "upload_too_large", $"{limit.Rule} allows bodies of at most {Quantity.Format(most)} to be sent there.", limit.Rule);

    private ProxyError Tell(HttpContext context, ProxyError error, string kind)
    {
        _limited.WithLabels(kind).Inc();
        var request = ProxiedRequest.Of(context);
        LogLimited(request.Target.Host, context.Request.Method, request.Path, error.Rule!, error.Reason, request.Id);
        return error;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "limited {Host} {Method} {Path} {Rule} {Reason} {Id}")]
    private partial void LogLimited(string host, string method, string path, string rule, string reason, string id);
}

/// <summary>Counts what clients have had, of whatever kind it was, when it is over.</summary>
internal sealed class CountedFlows(Live<LimitRules> rules, ClientUsage usage) : IFlowObserver
{
    public void Ended(Flow flow)
    {
        if (flow.RequestBytes + flow.ResponseBytes > 0 && rules.Value.Find(flow.Host) is { BytesPerDay: not null } limit)
            usage.Count(limit, RequestLimits.ClientOf(flow), flow.RequestBytes + flow.ResponseBytes);
    }
}
