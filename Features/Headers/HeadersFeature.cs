using Discobot.Infrastructure;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Headers;

/// <summary>Headers added to requests on their way to certain hosts: tokens that agents use and never see.</summary>
internal static class HeadersFeature
{
    /// <summary>
    /// Registers the rewriter and its <see cref="Live{T}"/> <see cref="HeaderRules"/>; a reload replaces them whole with
    /// <c>new HeaderRules(options)</c>.
    /// </summary>
    /// <param name="services">Where they are registered.</param>
    /// <param name="options">The <c>headers</c> section.</param>
    /// <param name="unverified"><c>tls.insecure_hosts</c>: no value is ever sent there.</param>
    public static IServiceCollection AddHeaders(this IServiceCollection services, HeaderOptions options, HostSet unverified) => services
        .AddSingleton(new Live<HeaderRules>(new HeaderRules(options)))
        .AddSingleton(provider => new HeaderRewriter(
            provider.GetRequiredService<Live<HeaderRules>>(), unverified, provider.GetRequiredService<ILogger<HeaderRewriter>>()))
        .AddSingleton<IRequestRewriter>(provider => provider.GetRequiredService<HeaderRewriter>());
}
