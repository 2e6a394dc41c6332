using Microsoft.Extensions.DependencyInjection.Extensions;
using Prometheus;

namespace Discobot.Infrastructure;

/// <summary>Where features make their counters, and what <c>GET /metrics</c> writes.</summary>
internal static class PrometheusSetup
{
    /// <summary>Registers one <see cref="CollectorRegistry"/> and its <see cref="IMetricFactory"/>, whichever feature asks for them first.</summary>
    public static IServiceCollection AddPrometheus(this IServiceCollection services)
    {
        services.TryAddSingleton(_ => Metrics.NewCustomRegistry());
        services.TryAddSingleton<IMetricFactory>(provider =>
        {
            var factory = Metrics.WithCustomRegistry(provider.GetRequiredService<CollectorRegistry>());
            // There are no traces here to give examples of.
            factory.ExemplarBehavior = ExemplarBehavior.NoExemplars();
            return factory;
        });
        return services;
    }
}
