namespace Discobot.Features.Cache.Remote;

/// <summary>Asks a store that is left alone, now and then, whether it is back: nobody's request waits for the answer.</summary>
internal sealed partial class RemoteWatch(RemoteTier tier, CircuitBreaker breaker, ILogger<RemoteWatch> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        while (true)
        {
            await breaker.WaitToTryAsync(stoppingToken);
            if (await tier.TryAsync(stoppingToken))
            {
                breaker.Close();
                LogBack();
            }
            else
                breaker.StayOpen();
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "remote cache is back")]
    private partial void LogBack();
}
