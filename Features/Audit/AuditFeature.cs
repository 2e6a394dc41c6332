using Discobot.Infrastructure;

namespace Discobot.Features.Audit;

/// <summary>What is told of traffic that is over: the audit log, and the last flows in memory.</summary>
internal static class AuditFeature
{
    /// <param name="services">Where it is registered.</param>
    /// <param name="options">What is in force.</param>
    /// <param name="tokenFile">The API's, beside which the file is where nothing else is said.</param>
    /// <param name="session">Of the container; empty where there is none.</param>
    public static IServiceCollection AddAudit(this IServiceCollection services, AuditOptions options, string tokenFile, string session)
    {
        services
            .AddSingleton(new FlowLine(session))
            .AddSingleton<IClientPrograms>(_ => new ClientPrograms(ClientPrograms.Find))
            .AddSingleton<RecentFlows>()
            .AddSingleton<IFlowObserver>(provider => provider.GetRequiredService<RecentFlows>());
        return !options.Enabled ? services : services
            .AddSingleton(provider => new AuditLog(options, options.Path(tokenFile), provider.GetRequiredService<FlowLine>(), provider.GetRequiredService<ILogger<AuditLog>>()))
            .AddSingleton<IFlowObserver>(provider => provider.GetRequiredService<AuditLog>());
    }
}
