using Discobot.Features.Allowlist;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Discobot.Features.Configuration;

/// <summary>Configuration that changes while the proxy runs.</summary>
internal static partial class ConfigurationFeature
{
    /// <summary>
    /// Registers <see cref="Live{T}"/> of <see cref="ProxySettings"/>, <see cref="LiveConfiguration"/>, and the watch over the file.
    /// Whoever composes the program turns settings into each feature's rules in <see cref="Live{T}.Changed"/>.
    /// </summary>
    public static IServiceCollection AddConfiguration(this IServiceCollection services, SettingsSources sources, ProxySettings settings)
    {
        services.TryAddSingleton(new SecretFiles());
        return services
            .AddPrometheus()
            .AddSingleton(sources)
            .AddSingleton(new Live<ProxySettings>(settings))
            .AddSingleton<ConfigurationMetrics>()
            .AddSingleton<LiveConfiguration>()
            .AddSingleton<MissingSecrets>()
            .AddHostedService(provider => provider.GetRequiredService<MissingSecrets>())
            .AddHostedService<ConfigurationWatch>();
    }

    private sealed partial class ConfigurationWatch(
        LiveConfiguration configuration, Live<ProxySettings> settings, SettingsSources sources, ILogger<ConfigurationWatch> log) : BackgroundService
    {
        private bool _isIdle;

        protected override Task ExecuteAsync(CancellationToken stoppingToken)
        {
            Look(settings.Value);
            settings.Changed += Look;
            return sources.File is { } file ? new FileWatch(file, TimeProvider.System).RunAsync(configuration.ReloadIfChanged, stoppingToken) : Task.CompletedTask;
        }

        private void Look(ProxySettings next)
        {
            if (next.Allowlist.IsIdle && !_isIdle)
                LogIdle(AllowlistOptions.Idle);
            _isIdle = next.Allowlist.IsIdle;
        }

        [LoggerMessage(Level = LogLevel.Warning, Message = "allowlist is off {Reason}")]
        private partial void LogIdle(string reason);
    }
}
