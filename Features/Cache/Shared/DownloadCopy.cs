using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>
/// A download of this container, which the others follow: its file is copied to the shared directory while it grows, gets its name there once its digest
/// is known to be right, and then the lease is given back. What is slow or fails here holds up no client of the download.
/// </summary>
internal sealed class DownloadCopy(SharedBodies bodies, VolumeAccess access, SharedCounters counters, DownloadLease lease, Fill fill, SafeFileHandle local) : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    // What was given up is left as by one who died: of those who follow, one asks for the rest, and not each.
    private bool _isLeft;

    /// <summary>Begins; it ends with the download, and gives the lease back then.</summary>
    /// <param name="former">What an owner who died had written.</param>
    public void Start(string? former = null)
    {
        if (former is not null)
            counters.TakenOver();
        _ = RunAsync(former);
    }

    public void Dispose() => local.Dispose();

    private async Task RunAsync(string? former)
    {
        var digest = fill.Target.Expected!.Value;
        bodies.Arrives(digest, isDone: false);
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            if (await access.TryWriteAsync(volume => CopyAsync(volume, digest, former)) && fill.IsStored)
                counters.Placed();
        }
        finally
        {
            bodies.Arrives(digest, isDone: true);
            if (_isLeft)
                lease.Dispose();
            else
                lease.Release();
            local.Dispose();
        }
    }

    private async ValueTask CopyAsync(SharedVolume volume, Hash256 digest, string? former)
    {
        var (name, file) = volume.CreateIncoming();
        using (file)
        {
            try
            {
                // Where the length is not known nobody can follow.
                if (fill.Length is { } length)
                    lease.Write(new LeaseRecord(name, length));
                if (former is not null)
                    volume.DeleteIncoming(former);
                await FollowAsync(file);
                if (fill.IsStored)
                {
                    RandomAccess.FlushToDisk(file);
                    volume.Place(name, digest);
                    return;
                }

                _isLeft = fill is { IsCancelled: true, IsDirect: false, Length: not null };
                if (_isLeft)
                    return;
            }
            catch
            {
                Delete(volume, name);
                throw;
            }

            Delete(volume, name);
        }
    }

    private async Task FollowAsync(SafeFileHandle file)
    {
        for (long at = 0; ;)
        {
            var isDone = fill.Completion.IsCompleted;
            var end = fill.InFile;
            FileCopy.Append(local, file, at, end);
            at = end;
            if (isDone || fill.IsDirect)
                return;
            await Task.WhenAny(fill.Completion, Task.Delay(Interval));
        }
    }

    private static void Delete(SharedVolume volume, string name)
    {
        try
        {
            volume.DeleteIncoming(name);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // Swept by who evicts.
        }
    }
}
