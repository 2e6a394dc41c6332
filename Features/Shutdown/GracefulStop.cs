using System.Runtime.InteropServices;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Shutdown;

/// <summary>
/// Runs the proxy until a signal asks it to end. What is in flight is finished up to a limit, and as long as something is, more is
/// accepted: an image pull is many requests, of which the next begins when the last has ended.
/// </summary>
internal sealed partial class GracefulStop(WebApplication app, TimeSpan drainLimit, Action reload, Action reopen) : IDisposable
{
    // Between one request of a pull and the next.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _asked = new();
    private readonly CancellationTokenSource _hurry = new();
    private readonly ILogger _log = app.Services.GetRequiredService<ILogger<GracefulStop>>();

    /// <summary>Starts the proxy and returns when it has ended. SIGTERM, SIGINT and SIGQUIT end it, a second one at once; SIGHUP reloads and opens the log
    /// file again, SIGUSR1 does only that.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Ask);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Ask);
        using var quit = PosixSignalRegistration.Create(PosixSignal.SIGQUIT, Ask);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            reopen();
            reload();
        });
        using var user1 = PosixSignalRegistration.Create((PosixSignal)Signal.User1, context =>
        {
            context.Cancel = true;
            reopen();
            LogReopened();
        });
        using var outside = cancellation.Register(_asked.Cancel);

        try
        {
            await app.StartAsync(_asked.Token);
            LogReady(string.Join(' ', app.Urls.Select(url => url[(url.IndexOf("//", StringComparison.Ordinal) + 2)..])));
        }
        catch (OperationCanceledException) when (_asked.IsCancellationRequested)
        {
            // Asked to end while starting: what has started is stopped below.
        }

        // No limit: it serves until it is asked to end.
        await Task.Delay(Timeout.Infinite, _asked.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
        LogStopping(FormattableString.Invariant($"{drainLimit.TotalSeconds}s"));
        await StopAsync();
    }

    public void Dispose()
    {
        _asked.Dispose();
        _hurry.Dispose();
    }

    private async Task StopAsync()
    {
        _hurry.CancelAfter(drainLimit);
        try
        {
            await app.Services.GetRequiredService<OpenTraffic>().IdleAsync(Pause, _hurry.Token);
            await app.StopAsync(_hurry.Token);
        }
        catch (OperationCanceledException)
        {
            // Told below: the exit code stays 0, since being asked to stop is no failure.
        }

        if (_hurry.IsCancellationRequested)
            LogCutShort();
        else
            LogStopped();
    }

    private void Ask(PosixSignalContext context)
    {
        // Else the runtime ends the process now, in the middle of answers.
        context.Cancel = true;
        if (_asked.IsCancellationRequested)
            _hurry.Cancel();
        else
            _asked.Cancel();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "ready {Listen}")]
    private partial void LogReady(string listen);

    [LoggerMessage(Level = LogLevel.Information, Message = "log opened again")]
    private partial void LogReopened();

    [LoggerMessage(Level = LogLevel.Information, Message = "stopping {Limit}")]
    private partial void LogStopping(string limit);

    [LoggerMessage(Level = LogLevel.Information, Message = "stopped")]
    private partial void LogStopped();

    [LoggerMessage(Level = LogLevel.Warning, Message = "stopped: requests still in flight were cut off at the drain limit or by a second signal")]
    private partial void LogCutShort();
}
