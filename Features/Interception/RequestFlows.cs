using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Interception;

/// <summary>The flow of each request: begun before anything is known of it, ended when its answer is on its way or lost.</summary>
internal sealed class RequestFlows(FlowRecorder recorder)
{
    /// <summary>Characters of a field of the trace that are kept; a tracestate of a trace that is to go on has no more (W3C Trace Context, 3.3.1.5).</summary>
    private const int MostOfTrace = 512;

    /// <summary>Begins the flow of a request, which ends with it.</summary>
    public Flow Begin(HttpContext context)
    {
        var flow = recorder.Begin(context.Features.Get<FlowClient>());
        context.Features.Set(flow);
        context.TraceIdentifier = flow.Id;
        flow.Method = context.Request.Method;
        flow.Protocol = "h1";
        // Of several it is not known which counts (W3C Trace Context, 3.2).
        if (recorder.KeepsTraceContext && context.Request.Headers.TraceParent is [{ Length: <= MostOfTrace } parent])
        {
            flow.TraceParent = parent;
            flow.TraceState = context.Request.Headers.TraceState is [{ Length: <= MostOfTrace } state] ? state : null;
        }

        if (HttpProtocol.IsHttp2(context.Request.Protocol))
        {
            flow.Protocol = "h2";
            CountedBodies.Count(context, flow);
        }

        context.Response.OnCompleted(static state =>
        {
            var (flows, context) = (((RequestFlows, HttpContext))state);
            flows.End(context);
            return Task.CompletedTask;
        }, (this, context));
        return flow;
    }

    /// <summary>It is known where the request goes.</summary>
    /// <param name="error">Why it goes nowhere.</param>
    public static void Know(HttpContext context, ProxiedRequest request, ProxyError? error)
    {
        var flow = Flow.Of(context)!;
        flow.LeadTo(request.Target);
        (flow.Scheme, flow.PathAndQuery) = (request.Scheme, request.PathAndQuery);
        if (context.Request.Headers.ContentType is [{ } type] && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase))
            flow.Protocol = "grpc";
        else if (context.Request.Headers.Upgrade is [{ } upgrade] && upgrade.Equals("websocket", StringComparison.OrdinalIgnoreCase))
            flow.Protocol = "ws";
        else if (context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true, Protocol: "websocket" })
            flow.Protocol = "ws";
        if (error is not null)
            flow.Refuse(error.Code);
    }

    /// <summary>Bytes of the answer's body so far.</summary>
    public static long Sent(HttpContext context, Flow flow) => flow.ResponseBytes + (context.Features.Get<ClientExchange>()?.Sent ?? 0);

    private void End(HttpContext context)
    {
        var flow = Flow.Of(context)!;
        if (context.Features.Get<ClientExchange>() is { } exchange)
        {
            flow.RequestBytes += exchange.Received;
            flow.ResponseBytes += exchange.Sent;
            flow.IsComplete = exchange.IsWhole;
        }
        else
        {
            flow.IsComplete = !context.RequestAborted.IsCancellationRequested;
        }

        recorder.End(flow);
    }
}
