using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// Brings what waits to the store, behind the requests: two at a time, none while the store is left alone, each until it is there, the store will never take it, or a week is over. What failed is tried again
/// after a while that doubles, up to five minutes, of which a random part is waited for, so that containers do not come back at one moment.
/// </summary>
internal sealed partial class Uploads(
    IRemoteStore store, CircuitBreaker breaker, KnownBodies known, UploadSpool spool, RemoteStats stats, CacheStore cache, TimeProvider time, ILogger<Uploads> log) : BackgroundService
{
    private const int Workers = 2;
    private const int MostRefreshes = 4096;
    private const long SlowestBytesPerSecond = 128 << 10;

    // In place of a number of tries: somebody else is about to have uploaded it.
    private const int AfterOthers = -1;

    private static readonly TimeSpan Answer = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);

    private readonly Channel<(Hash256 Digest, int Tries)> _waiting = Channel.CreateUnbounded<(Hash256, int)>();
    private readonly Channel<(Hash256 Digest, long Length)> _unrefreshed = Channel.CreateBounded<(Hash256, long)>(new BoundedChannelOptions(MostRefreshes) { FullMode = BoundedChannelFullMode.DropWrite });
    private bool _isTold;

    /// <summary>A body was added to the spool.</summary>
    /// <param name="digest">Of the body.</param>
    /// <param name="othersDo">Another container uploads it, unless it ends before: this one looks after some minutes, and finds it there.</param>
    public void Wake(Hash256 digest, bool othersDo = false) => _waiting.Writer.TryWrite((digest, othersDo ? AfterOthers : 0));

    /// <summary>A body was read that nobody has told the store of for a day.</summary>
    public void Refresh(Hash256 digest, long length) => _unrefreshed.Writer.TryWrite((digest, length));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        // Another process has the directory, and uploads what waits there.
        if (!cache.IsOurs)
            return;
        foreach (var digest in spool.Load())
            Wake(digest);
        await Task.WhenAll([.. Enumerable.Range(0, Workers).Select(_ => UploadAllAsync(stoppingToken)), RefreshAllAsync(stoppingToken)]);
    }

    private async Task UploadAllAsync(CancellationToken stopping)
    {
        await foreach (var (digest, tries) in _waiting.Reader.ReadAllAsync(stopping).ConfigureAwait(false))
        {
            if (tries == AfterOthers)
            {
                _ = WaitAsync(digest, tries + 1, LongestPause * (0.5 + Random.Shared.NextDouble() / 2), stopping);
                continue;
            }

            await breaker.ClosedAsync(stopping);
            if (await TryUploadAsync(digest, stopping))
                spool.Remove(digest);
            else
                _ = WaitAsync(digest, tries + 1, TimeSpan.FromTicks(Math.Min(FirstPause.Ticks << Math.Min(tries, 16), LongestPause.Ticks)) * Random.Shared.NextDouble(), stopping);
        }
    }

    // False: it has to be tried again.
    private async Task<bool> TryUploadAsync(Hash256 digest, CancellationToken stopping)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        SafeFileHandle? file = null;
        try
        {
            file = spool.Open(digest);
            if (file is null)
                return true;
            await UploadAsync(digest, file, RandomAccess.GetLength(file), stopping);
            _isTold = false;
            return true;
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            if (IsOld(file))
            {
                Drop(digest, e.Message);
                return true;
            }

            stats.Add(RemoteCount.UploadFailed);
            if (!_isTold)
                LogNotUploaded(digest, e is OperationCanceledException ? "it takes too long" : e.Message);
            _isTold = true;
            return false;
        }
        finally
        {
            file?.Dispose();
        }
    }

    // By when it was written, which was when it was downloaded.
    private bool IsOld(SafeFileHandle? file)
    {
        try
        {
            return file is not null && time.GetUtcNow().UtcDateTime - File.GetLastWriteTimeUtc(file) > Longest;
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            return false;
        }
    }

    private void Drop(Hash256 digest, string reason)
    {
        stats.Add(RemoteCount.Dropped);
        LogDropped(digest, reason);
    }

    private async Task UploadAsync(Hash256 digest, SafeFileHandle file, long length, CancellationToken stopping)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        limit.CancelAfter(Answer);
        if (!known.IsWrong(digest) && (known.IsPresent(digest) || await store.ExistsAsync(digest, length, limit.Token)))
        {
            stats.Add(RemoteCount.ThereAlready);
            known.Present(digest);
            return;
        }

        // Nobody else is to have what this disk has made of it.
        if (await Task.Run(() => BodyDigest.Of(file, length), stopping) != digest)
        {
            LogAltered(digest);
            stats.Add(RemoteCount.Dropped);
            return;
        }

        limit.CancelAfter(Answer + TimeSpan.FromSeconds(length / (double)SlowestBytesPerSecond));
        try
        {
            await store.PutAsync(digest, file, length, limit.Token);
        }
        catch (RemoteException e) when (e.IsForGood)
        {
            Drop(digest, e.Message);
            return;
        }

        known.Present(digest);
        stats.Add(RemoteCount.Uploaded);
        stats.Add(RemoteCount.BytesUploaded, length);
        LogUploaded(digest, length);
    }

    private async Task WaitAsync(Hash256 digest, int tries, TimeSpan pause, CancellationToken stopping)
    {
        try
        {
            await Task.Delay(pause, time, stopping);
        }
        catch (OperationCanceledException)
        {
            // It waits in the spool for the next run.
            return;
        }

        _waiting.Writer.TryWrite((digest, tries));
    }

    private async Task RefreshAllAsync(CancellationToken stopping)
    {
        await foreach (var (digest, length) in _unrefreshed.Reader.ReadAllAsync(stopping).ConfigureAwait(false))
        {
            await breaker.ClosedAsync(stopping);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            limit.CancelAfter(Answer);
            try
            {
                if (await store.RefreshAsync(digest, length, limit.Token))
                    stats.Add(RemoteCount.Refreshed);
            }
            catch (Exception) when (!stopping.IsCancellationRequested)
            {
                // The next read of it asks for it again.
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "remote cache uploaded {Digest} {Bytes}")]
    private partial void LogUploaded(Hash256 digest, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "remote cache not uploaded, and tried again {Digest} {Reason}")]
    private partial void LogNotUploaded(Hash256 digest, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "remote cache not uploaded, and not tried again {Digest} {Reason}")]
    private partial void LogDropped(Hash256 digest, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "remote cache not uploaded, as the file is altered {Digest}")]
    private partial void LogAltered(Hash256 digest);
}
