using Discobot.Infrastructure;

namespace Discobot.Features.Cache;

/// <summary>Opens the cache with the host and leaves it in order when the host stops.</summary>
internal sealed class CacheLifetime(CacheStore store, Fills fills, CacheScrub scrub, Live<CacheRules> rules, TimeProvider time)
    : IHostedService, IDisposable
{
    private static readonly TimeSpan SnapshotInterval = TimeSpan.FromMinutes(1);
    private readonly CancellationTokenSource _stopping = new();
    private Task _upkeep = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (rules.Value.Options.Enabled && store.Start())
            _upkeep = Task.WhenAll(UpkeepAsync(_stopping.Token), scrub.RunAsync(_stopping.Token));
        return Task.CompletedTask;
    }

    /// <summary>Downloads under way end or are broken off with <paramref name="cancellationToken"/>; what is complete gets its name on disk, as far as there is time for it.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await fills.DrainAsync(cancellationToken);
        // What has no name by then is swept at the next start.
        await store.CommittedAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _upkeep.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (rules.Value.Options.Enabled)
            store.SaveSnapshot();
        store.Release();
    }

    public void Dispose() => _stopping.Dispose();

    private async Task UpkeepAsync(CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(SnapshotInterval, time);
        while (await timer.WaitForNextTickAsync(cancel))
            store.SaveSnapshot();
    }
}
