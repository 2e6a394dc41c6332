using Prometheus;

namespace Discobot.Features.Api;

/// <summary><c>GET /metrics</c>: the counters of every feature in Prometheus' text format, 0.0.4.</summary>
internal static class MetricsEndpoint
{
    public static void MapMetrics(this IEndpointRouteBuilder endpoints)
    {
        var registry = endpoints.ServiceProvider.GetRequiredService<CollectorRegistry>();
        DotNetStats.Register(registry);
        ObservedMetrics.Register(registry, endpoints.ServiceProvider);
        RequestDelegate answer = context =>
        {
            context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
            return registry.CollectAndExportAsTextAsync(context.Response.Body, context.RequestAborted);
        };
        endpoints.MapGet("/metrics", answer);
    }
}
