using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Discobot.Features.Limits;

/// <summary>How much a client may have of a host: requests a second, bytes a day, bytes of one upload.</summary>
internal static class LimitsFeature
{
    public static IServiceCollection AddLimits(this IServiceCollection services, LimitOptions options)
    {
        services.TryAddSingleton(TimeProvider.System);
        return services
            .AddPrometheus()
            .AddSingleton(new Live<LimitRules>(new LimitRules(options)))
            .AddSingleton(services => new ClientUsage(services.GetRequiredService<TimeProvider>(), Environment.GetEnvironmentVariable(StartToken.Variable) is not null))
            .AddSingleton<IFlowObserver, CountedFlows>();
    }

    /// <summary>Behind the allowlist: what may not leave counts for nothing.</summary>
    public static IApplicationBuilder UseLimits(this IApplicationBuilder app) => app.UseMiddleware<RequestLimits>();
}
