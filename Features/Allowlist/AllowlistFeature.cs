using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

/// <summary>Which hosts, methods and paths may be reached: the policy the wire asks at every stage.</summary>
internal static class AllowlistFeature
{
    /// <summary>
    /// Registers the policy and its <see cref="Live{T}"/> <see cref="AllowlistRules"/>; a reload replaces them whole by <see cref="Approvals.Follow"/>.
    /// </summary>
    /// <param name="services">Where they are registered.</param>
    /// <param name="options">The <c>allowlist</c> section.</param>
    /// <param name="learnedFile">Keeps what was learned over restarts. An absolute path.</param>
    public static IServiceCollection AddAllowlist(this IServiceCollection services, AllowlistOptions options, string learnedFile) => services
        .AddPrometheus()
        .AddSingleton(new Live<AllowlistRules>(new AllowlistRules(options)))
        .AddSingleton(provider => CreateApprovals(provider, options))
        .AddSingleton<LearnedTraffic>()
        .AddHostedService(provider => ActivatorUtilities.CreateInstance<LearnedFile>(provider, learnedFile))
        .AddSingleton<BlockMetrics>()
        .AddSingleton<IEgressPolicy, AllowlistPolicy>()
        .AddSingleton(CreateTraffic);

    /// <summary>Posts questions to the operator's address, where there is one.</summary>
    /// <param name="services">Where it is registered.</param>
    /// <param name="options">The <c>ask</c> section.</param>
    /// <param name="roots">Whom the receiver may be signed by.</param>
    public static IServiceCollection AddWebhook(this IServiceCollection services, AskOptions options, Func<IServiceProvider, Task<X509Certificate2Collection>> roots) =>
        options.Webhook is null ? services : services.AddHostedService(provider => new ApprovalWebhook(
            options, provider.GetRequiredService<Approvals>(), provider.GetRequiredService<TimeProvider>(), () => roots(provider), provider.GetRequiredService<ILogger<ApprovalWebhook>>()));

    private static Approvals CreateApprovals(IServiceProvider provider, AllowlistOptions options)
    {
        var approvals = ActivatorUtilities.CreateInstance<Approvals>(provider, options);
        provider.GetService<IHostApplicationLifetime>()?.ApplicationStopping.Register(approvals.Close);
        return approvals;
    }

    // What new rules forbid ends at once, also where it has begun.
    private static OpenTraffic CreateTraffic(IServiceProvider provider)
    {
        var traffic = ActivatorUtilities.CreateInstance<OpenTraffic>(provider);
        provider.GetRequiredService<Live<AllowlistRules>>().Changed += _ => traffic.JudgeAgain();
        return traffic;
    }

    /// <summary><c>GET /api/allowlist/learned</c>: what passed in learn mode; and what is asked and answered.</summary>
    public static void MapAllowlist(this IEndpointRouteBuilder endpoints)
    {
        var learned = endpoints.ServiceProvider.GetRequiredService<LearnedTraffic>();
        var live = endpoints.ServiceProvider.GetRequiredService<Live<AllowlistRules>>();
        RequestDelegate answer = context => context.Response.WriteAsJsonAsync(learned.Report() with { Learning = live.Value.Learns }, LearnedJson.Default.LearnedReport);
        endpoints.MapGet("/api/allowlist/learned", answer);
        endpoints.MapApprovals();
    }
}
