using Discobot.Features.Packages.Crates;
using Discobot.Features.Packages.Npm;
using Discobot.Features.Packages.Python;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Discobot.Features.Packages;

/// <summary>The minimum age of packages: versions that are younger than it do not exist for the clients of npm, PyPI and crates.</summary>
internal static class PackagesFeature
{
    public static IServiceCollection AddPackages(this IServiceCollection services, PackageOptions options)
    {
        services.TryAddSingleton(TimeProvider.System);
        return services
            .AddSingleton(new Live<AgeRules>(new AgeRules(options)))
            .AddSingleton<PublishTimes>()
            .AddSingleton<NpmTarballs>()
            .AddSingleton<DocumentMemory>()
            .AddSingleton<AgeRefusals>()
            .AddSingleton<IRegistryProtocol, NpmRegistry>()
            .AddSingleton<IRegistryProtocol, PythonRegistry>()
            .AddSingleton<IRegistryProtocol, CrateRegistry>();
    }

    /// <summary>Before the cache, which keeps what the registries say; what clients see of it changes with the time.</summary>
    public static IApplicationBuilder UsePackages(this IApplicationBuilder app)
    {
        var live = app.ApplicationServices.GetRequiredService<Live<AgeRules>>();
        IRegistryProtocol[] protocols = [.. app.ApplicationServices.GetServices<IRegistryProtocol>()];
        return app.Use(next => context =>
            live.Value is { IsOn: true } rules && (Methods.IsGet(context.Request.Method) || Methods.IsHead(context.Request.Method))
                ? AnswerAsync(protocols, rules, context, next) : next(context));
    }

    private static async Task AnswerAsync(IRegistryProtocol[] protocols, AgeRules rules, HttpContext context, RequestDelegate next)
    {
        var request = ProxiedRequest.Of(context);
        foreach (var protocol in protocols)
        {
            if (await protocol.TryAnswerAsync(context, request, rules, next))
                return;
        }

        await next(context);
    }
}
