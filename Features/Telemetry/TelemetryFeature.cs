using Discobot.Infrastructure;

namespace Discobot.Features.Telemetry;

/// <summary>Spans and metrics of requests for an OpenTelemetry collector, by the standard variables.</summary>
internal static class TelemetryFeature
{
    /// <summary>Without an endpoint in the environment nothing is registered, and no request is looked at.</summary>
    /// <param name="services">Where it is registered.</param>
    /// <param name="environment">Of the process: the operator's. No configuration says where telemetry goes, so that no workspace can.</param>
    public static IServiceCollection AddTelemetry(this IServiceCollection services, IReadOnlyDictionary<string, string> environment)
    {
        var options = TelemetryOptions.Read(environment);
        return options is { Traces: null, Metrics: null, Mistake: null } ? services
            : services.AddSingleton<IFlowObserver>(provider => new FlowTelemetry(options, provider.GetServices<ObservedCount>(), provider.GetRequiredService<ILogger<FlowTelemetry>>()));
    }
}
