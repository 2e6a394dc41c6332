using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Discobot.Features.Credentials;

/// <summary>Credentials that the agent never holds: it has placeholders, which are replaced on the way to the hosts that may have the secrets.</summary>
internal static partial class CredentialsFeature
{
    /// <param name="services">Where they are registered; before the header rules, whose fields are the operator's own.</param>
    /// <param name="options">The <c>secrets</c> section.</param>
    /// <param name="unverified"><c>tls.insecure_hosts</c>: no value is ever sent there.</param>
    /// <param name="seed">Of the placeholders; null makes them anew.</param>
    /// <param name="tokenFile">The API's, beside which the placeholders are left.</param>
    /// <param name="executable">Our own, by which programs are started.</param>
    public static IServiceCollection AddCredentials(
        this IServiceCollection services, CredentialOptions options, HostSet unverified, string? seed, string tokenFile, string executable = Spawner.OwnExecutable)
    {
        if (options.IsEmpty)
            return services;
        seed ??= Placeholders.NewSeed();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(new SecretFiles());
        services.TryAddSingleton(_ => new Spawner(executable));
        return services
            .AddSingleton<IReadOnlyList<HeldSecret>>(provider =>
                [.. options.Secrets.Select(s => new HeldSecret(s, Placeholders.Make(seed, s.Name), provider.GetRequiredService<SecretFiles>(), unverified, CommandOf(s, provider)))])
            .AddSingleton<ICredentialGuard>(provider =>
            {
                Leave(options, seed, tokenFile, provider.GetRequiredService<ILogger<CredentialGuard>>());
                return ActivatorUtilities.CreateInstance<CredentialGuard>(provider);
            })
            .AddSingleton<IRequestRewriter, CredentialRewriter>();
    }

    /// <summary>The first stage of requests that may leave, which sees all that is answered to them.</summary>
    public static IApplicationBuilder UseCredentials(this IApplicationBuilder app) =>
        app.ApplicationServices.GetService<IReadOnlyList<HeldSecret>>()?.Any(secret => secret.Redacts) == true ? app.UseMiddleware<AnswerRedaction>() : app;

    private static SecretCommand? CommandOf(Credential secret, IServiceProvider provider) =>
        secret.Command is { } command ? ActivatorUtilities.CreateInstance<SecretCommand>(provider, secret.Name, command) : null;

    private static void Leave(CredentialOptions options, string seed, string tokenFile, ILogger log)
    {
        try
        {
            LogLeft(log, Placeholders.Write(options, seed, tokenFile));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotLeft(log, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "placeholders of secrets written {File}")]
    private static partial void LogLeft(ILogger log, string file);

    [LoggerMessage(Level = LogLevel.Warning, Message = "placeholders of secrets not written {Reason}")]
    private static partial void LogNotLeft(ILogger log, string reason);
}
