using System.Security.Cryptography.X509Certificates;

namespace Discobot.Features.Cache.Remote;

/// <summary>Registers the store beyond this machine, where there is one.</summary>
internal static class RemoteFeature
{
    /// <param name="services">Where it is registered, after the cache and the tiers that are nearer.</param>
    /// <param name="options">The <c>cache</c> section.</param>
    /// <param name="environment">What the chain of credentials reads.</param>
    /// <param name="roots">Whom the store may be signed by.</param>
    public static IServiceCollection AddRemoteCache(
        this IServiceCollection services, CacheOptions options, IReadOnlyDictionary<string, string> environment, Func<IServiceProvider, Task<X509Certificate2Collection>> roots)
    {
        var remote = options.Remote;
        if (!options.Enabled)
            return services;
        if (!remote.IsOn)
            return services.AddHostedService(provider => new UnusedSpool(new UploadSpool(options.Dir, limit: 0), provider.GetRequiredService<CacheStore>()));
        return services
            .AddSingleton<RemoteStats>()
            .AddSingleton(provider => new CircuitBreaker(provider.GetRequiredService<TimeProvider>()))
            .AddSingleton<KnownBodies>()
            .AddSingleton(new UploadSpool(options.Dir, remote.Spool))
            .AddSingleton(provider => RemoteClient.Create(roots(provider)))
            .AddSingleton<IRemoteStore>(provider => Store(provider, remote, environment))
            .AddSingleton<Uploads>()
            .AddHostedService(provider => provider.GetRequiredService<Uploads>())
            .AddSingleton<RemoteTier>()
            .AddSingleton<IBodyTier>(provider => provider.GetRequiredService<RemoteTier>())
            .AddHostedService<RemoteWatch>();
    }

    private static IRemoteStore Store(IServiceProvider provider, RemoteOptions options, IReadOnlyDictionary<string, string> environment)
    {
        var (client, time) = (provider.GetRequiredService<RemoteClient>(), provider.GetRequiredService<TimeProvider>());
        return options.S3 is { } s3
            ? new S3Store(s3, client, new AwsCredentialChain(environment, client, s3.Region, time), time)
            : new HttpStore(options.Http!, options.Authorization, client);
    }
}

/// <summary>What waited for a store that is no longer named takes room that nothing would give back.</summary>
internal sealed class UnusedSpool(UploadSpool spool, CacheStore cache) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.Run(
        () =>
        {
            // Another process has the directory, and perhaps a store.
            if (cache.IsOurs)
                spool.Clear();
        },
        CancellationToken.None);
}
