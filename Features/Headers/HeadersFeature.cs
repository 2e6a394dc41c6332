using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Discobot.Features.Headers;

/// <summary>Headers added to requests on their way to certain hosts: tokens that agents use and never see.</summary>
internal static class HeadersFeature
{
    /// <summary>
    /// Registers the rewriter and its <see cref="Live{T}"/> <see cref="HeaderRules"/>; a reload replaces them whole with
    /// <c>new HeaderRules(options, files)</c>.
    /// </summary>
    /// <param name="services">Where they are registered.</param>
    /// <param name="options">The <c>headers</c> section.</param>
    /// <param name="unverified"><c>tls.insecure_hosts</c>: no value is ever sent there.</param>
    public static IServiceCollection AddHeaders(this IServiceCollection services, HeaderOptions options, HostSet unverified)
    {
        services.TryAddSingleton(new SecretFiles());
        return services
            .AddSingleton(provider => new Live<HeaderRules>(new HeaderRules(options, provider.GetRequiredService<SecretFiles>())))
            .AddSingleton(provider => new HeaderRewriter(
                provider.GetRequiredService<Live<HeaderRules>>(), unverified, provider.GetRequiredService<ILogger<HeaderRewriter>>()))
            .AddSingleton<IRequestRewriter>(provider => provider.GetRequiredService<HeaderRewriter>());
    }

    /// <summary>The stage before the first that makes upstream requests: a value that lies in a file is waited for here, and by nobody else.</summary>
    public static IApplicationBuilder UseHeaders(this IApplicationBuilder app)
    {
        var live = app.ApplicationServices.GetRequiredService<Live<HeaderRules>>();
        return app.Use((context, next) => live.Value is { ReadsFiles: true } rules
            && CanonicalHost.TryParse(ProxiedRequest.Of(context).Target.Host, out var host) && rules.Find(host) is { } rule
            ? RefreshAsync(rule, context, next) : next(context));
    }

    private static async Task RefreshAsync(ActiveRule rule, HttpContext context, RequestDelegate next)
    {
        await rule.RefreshAsync(context.RequestAborted);
        await next(context);
    }
}
