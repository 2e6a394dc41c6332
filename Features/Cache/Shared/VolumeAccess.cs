using Discobot.Infrastructure.Native;

namespace Discobot.Features.Cache.Shared;

/// <summary>
/// Whether the shared directory can be used. It may be full, read-only, gone or stand still: then this container goes on alone, is told so once, and
/// looks beside its requests whether it is back. No request waits for a directory that is known to be away.
/// </summary>
internal sealed partial class VolumeAccess(SharedVolume volume, TimeProvider time, ILogger<VolumeAccess> log)
{
    /// <summary>A directory that takes longer for anything is away.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(4);

    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan WriteAgain = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private string? _away;
    private string? _unwritable;
    private long _writeAfter;

    public SharedVolume Volume => volume;

    /// <summary>Why it is not used, or nothing can be written to it; null where all is well.</summary>
    public string? Problem { get { lock (_lock) return _away ?? _unwritable; } }

    public bool IsAway { get { lock (_lock) return _away is not null; } }

    public bool IsWritable { get { lock (_lock) return _away is null && (_unwritable is null || time.GetTimestamp() >= _writeAfter); } }

    /// <summary>Does something with it that ends within <see cref="Limit"/>.</summary>
    /// <returns>Null where it could not be done; what comes too late is disposed.</returns>
    public async ValueTask<T?> TryAsync<T>(Func<SharedVolume, T?> work, CancellationToken cancel)
        where T : class
    {
        if (IsAway)
            return null;
        var working = Task.Run(() => work(volume), CancellationToken.None);
        try
        {
            return await working.WaitAsync(Limit, time, cancel);
        }
        catch (TimeoutException)
        {
            Leave($"{volume.Path} has not answered for {Limit.TotalSeconds:0} s");
        }
        catch (VolumeAwayException e)
        {
            Leave(e.Message);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogFailed(e.Message);
        }
        catch (OperationCanceledException)
        {
        }
        catch (Exception e)
        {
            // Whatever somebody may have put there: it costs no request its answer.
            LogUnexpected(e);
        }

        _ = working.ContinueWith(
            static late => (late.Result as IDisposable)?.Dispose(), CancellationToken.None,
            TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return null;
    }

    /// <summary>Writes to it, for as long as that takes.</summary>
    /// <returns>False where that failed.</returns>
    public async ValueTask<bool> TryWriteAsync(Func<SharedVolume, ValueTask> work)
    {
        if (!IsWritable)
            return false;
        try
        {
            await work(volume);
        }
        catch (VolumeAwayException e)
        {
            Leave(e.Message);
            return false;
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            if (await Task.Run(() => volume.Refuses(e)))
                Refused(e.Message);
            else
                LogFailed(e.Message);
            return false;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Whoever comes back here again and again does so also after what nobody thought of.
            LogUnexpected(e);
            return false;
        }

        Written();
        return true;
    }

    /// <summary>It took something.</summary>
    public void Written()
    {
        lock (_lock)
        {
            if (_unwritable is null)
                return;
            _unwritable = null;
        }

        LogWritable(volume.Path);
    }

    /// <summary>It takes nothing at the moment: full, read-only, not ours to write.</summary>
    public void Refused(string reason)
    {
        bool isNews;
        lock (_lock)
        {
            isNews = _unwritable is null;
            _unwritable = reason;
            _writeAfter = time.GetTimestamp() + (long)(WriteAgain.TotalSeconds * time.TimestampFrequency);
        }

        if (isNews)
            LogUnwritable(volume.Path, reason);
    }

    private void Leave(string reason)
    {
        lock (_lock)
        {
            if (_away is not null)
                return;
            _away = reason;
        }

        LogAway(reason);
        _ = ReturnAsync();
    }

    // One look at a time: a file system that stands still would keep a thread for each.
    private async Task ReturnAsync()
    {
        while (true)
        {
            await Task.Delay(LookAgain, time).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            try
            {
                volume.Open().Dispose();
                break;
            }
            catch (Exception e) when (DiskFailure.Is(e))
            {
                // Still away.
            }
        }

        lock (_lock)
            _away = null;
        LogBack(volume.Path);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "shared cache is away, going on alone {Reason}")]
    private partial void LogAway(string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "shared cache is back {Path}")]
    private partial void LogBack(string path);

    [LoggerMessage(Level = LogLevel.Warning, Message = "shared cache takes nothing {Path} {Reason}")]
    private partial void LogUnwritable(string path, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "shared cache takes bodies again {Path}")]
    private partial void LogWritable(string path);

    [LoggerMessage(Level = LogLevel.Debug, Message = "shared cache failed {Reason}")]
    private partial void LogFailed(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "shared cache failed in a way that is not foreseen")]
    private partial void LogUnexpected(Exception error);
}
