using Discobot.Infrastructure;

namespace Discobot.Features.Cache.Warming;

/// <summary><c>cache.warm</c>: once the proxy serves, in the background; nobody waits for it.</summary>
internal sealed partial class WarmAtStart(CacheWarmer warmer, Live<CacheRules> rules, IHostApplicationLifetime lifetime, ILogger<WarmAtStart> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var named = rules.Value.Options.Warm;
        if (named.IsEmpty || !rules.Value.Options.Enabled)
            return;
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken);
        var (items, stored, here) = (new List<WarmItem>(), 0, 0);
        foreach (var name in named)
            items.AddRange(await ItemsOfAsync(name));
        await foreach (var step in warmer.WarmAsync(items, WarmPlatform.Own, stoppingToken))
        {
            if (step.State == "failed")
                LogFailed(step.Name, step.Reason ?? "");
            stored += step.State == "stored" ? 1 : 0;
            here += step.State == "here" ? 1 : 0;
        }

        LogWarmed(stored, here, items.Count - stored - here);
    }

    private Task<IReadOnlyList<WarmItem>> ItemsOfAsync(string name) => Task.Run<IReadOnlyList<WarmItem>>(() =>
    {
        if (!name.StartsWith('/'))
            return [WarmFiles.ImageItem(name)];
        try
        {
            return WarmFiles.Read(name);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogFailed(name, e.Message);
            return [];
        }
    });

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache could not be warmed with {Name} {Reason}")]
    private partial void LogFailed(string name, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "cache warmed stored={Stored} here={Here} failed={Failed}")]
    private partial void LogWarmed(int stored, int here, int failed);
}
