using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>Configuration that changes while the proxy runs.</summary>
internal static class ConfigurationFeature
{
    /// <summary>
    /// Registers <see cref="Live{T}"/> of <see cref="ProxySettings"/>, <see cref="LiveConfiguration"/>, and the watch over the file.
    /// Whoever composes the program turns settings into each feature's rules in <see cref="Live{T}.Changed"/>.
    /// </summary>
    public static IServiceCollection AddConfiguration(this IServiceCollection services, SettingsSources sources, ProxySettings settings) => services
        .AddPrometheus()
        .AddSingleton(sources)
        .AddSingleton(new Live<ProxySettings>(settings))
        .AddSingleton<ConfigurationMetrics>()
        .AddSingleton<LiveConfiguration>()
        .AddHostedService<ConfigurationWatch>();

    private sealed class ConfigurationWatch(LiveConfiguration configuration, SettingsSources sources) : BackgroundService
    {
        protected override Task ExecuteAsync(CancellationToken stoppingToken) => sources.File is { } file
            ? new FileWatch(file, TimeProvider.System).RunAsync(configuration.ReloadIfChanged, stoppingToken)
            : Task.CompletedTask;
    }
}
