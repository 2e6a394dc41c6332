using System.Net;
using Discobot.Infrastructure.Wire;
using Yarp.ReverseProxy.Forwarder;

namespace Discobot.Features.Interception;

/// <summary>Last stage: sends the request upstream and streams the answer back, whatever it is (bodies of any size, WebSocket, gRPC,
/// server-sent events).</summary>
internal sealed partial class Forwarding(
    IHttpForwarder forwarder, Upstream upstream, UpstreamRequests requests, ForwardingLimits limits, ILogger<Forwarding> log)
{
    private readonly AsSent _transformer = new(requests);

    // Upstream is spoken to as the client speaks to us: HTTP/2 for somebody who does not speak it hands each request to four more threads. Measured
    // with bench/run.sh: plain HTTP 13,500 -> 20,600 requests/s, the latency of one client 0.45 -> 0.42 ms.
    private readonly ForwarderRequestConfig _http1 = Config(HttpVersion.Version11, limits);
    private readonly ForwarderRequestConfig _http2 = Config(HttpVersion.Version20, limits);

    public async Task InvokeAsync(HttpContext context)
    {
        var config = HttpProtocol.IsHttp2(context.Request.Protocol) ? _http2 : _http1;
        // The prefix is never used: the transformer sets the address with its path bytes as sent.
        var outcome = await forwarder.SendAsync(context, "http://upstream.invalid/", upstream.Invoker, config, _transformer);
        if (outcome == ForwarderError.None || context.RequestAborted.IsCancellationRequested)
            return;
        var host = ProxiedRequest.Of(context).Target.Host;
        var failure = context.GetForwarderErrorFeature()?.Exception;
        var error = ClientsFault(outcome, failure) ?? UpstreamFailures.ToError(failure ?? new HttpRequestException(outcome.ToString()), host);
        LogFailed(host, error.Code, error.Reason);
        if (context.Response.HasStarted)
            context.Abort();
        else
            await ProxyErrors.WriteAsync(context, error);
    }

    private static ForwarderRequestConfig Config(Version version, ForwardingLimits limits) => new()
    {
        Version = version,
        VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        ActivityTimeout = limits.Silence,
    };

    // The head was on its way upstream when the body turned out to be malformed, or too slow (RFC 9112, 7.1).
    private static ProxyError? ClientsFault(ForwarderError outcome, Exception? failure)
    {
        for (var e = failure; e is not null; e = e.InnerException)
        {
            if (e is BadHttpRequestException bad)
                return new ProxyError(bad.StatusCode, "bad_request", $"The request's body cannot be read: {bad.Message.TrimEnd('.')}.");
        }

        return outcome == ForwarderError.RequestBodyClient
            ? new ProxyError(StatusCodes.Status400BadRequest, "bad_request", "The request's body cannot be read.")
            : null;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "upstream failed {Host} {Error} {Reason}")]
    private partial void LogFailed(string host, string error, string reason);

    /// <summary>Copies end-to-end fields and adds none.</summary>
    private sealed class AsSent(UpstreamRequests requests) : HttpTransformer
    {
        public override async ValueTask TransformRequestAsync(
            HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            requests.Finish(httpContext, proxyRequest);
        }
    }
}

/// <param name="Silence">How long an upstream may send nothing at all before the request fails with 504.</param>
internal sealed record ForwardingLimits(TimeSpan Silence);
