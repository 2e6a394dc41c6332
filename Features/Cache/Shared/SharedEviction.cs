using System.Globalization;
using System.Text;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>
/// Keeps the shared directory within <c>cache.shared_max_size</c>. One container at a time does so, the one that holds <c>evict.lock</c>; where locks do not
/// hold, several do the same, which is no harm. What somebody reads at that moment stays readable: a name is taken away, not the open file.
/// </summary>
/// <remarks>Ages are told by the clock of the file system, which wrote the times: the clocks of the containers need not agree.</remarks>
internal sealed partial class SharedEviction(
    VolumeAccess access, SharedCounters counters, Live<CacheRules> rules, TimeProvider time, ILogger<SharedEviction> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);
    private static readonly TimeSpan Kept = TimeSpan.FromDays(1);

    private SafeFileHandle? _lock;

    public bool Evicts => _lock is not null;

    public SharedStatistics Statistics() => counters.Show(access.Volume.Path, access.Problem, Evicts, rules.Value.Options.SharedMaxSize);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
                await access.TryWriteAsync(_ => new(Task.Run(() => Run(access.Volume), stoppingToken)));
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // The proxy ends.
        }
        finally
        {
            _lock?.Dispose();
            _lock = null;
        }
    }

    /// <summary>One round, if it is ours to do.</summary>
    internal void Run(SharedVolume volume)
    {
        using var root = volume.Open();
        if (!TryElect(root))
        {
            Read(root);
            return;
        }

        var now = Touch(root);
        using (var bodies = root.OpenOrMake(SharedVolume.Bodies, root.Status().Permissions))
            Evict(bodies, now);
        Sweep(root, SharedVolume.Incoming, now - Abandoned);
        Sweep(root, SharedVolume.Leases, now - Abandoned);
        Sweep(root, SharedVolume.Aside, now - Kept);
    }

    public override void Dispose()
    {
        _lock?.Dispose();
        base.Dispose();
    }

    private bool TryElect(DirectoryHandle root)
    {
        if (_lock is { } held && root.IsNameOf(SharedVolume.EvictionLock, held))
            return true;
        _lock?.Dispose();
        _lock = null;
        var file = root.OpenOrCreateFile(SharedVolume.EvictionLock, root.Status().Permissions & 0x1B6 | 0x180);
        if (Libc.Lock(file, FileLock.Exclusive | FileLock.NonBlocking) != 0)
        {
            file.Dispose();
            return false;
        }

        _lock = file;
        return true;
    }

    // The time of the file system.
    private DateTimeOffset Touch(DirectoryHandle root)
    {
        _ = Libc.SetTimes(_lock!, [0, Libc.Now, 0, Libc.Now]);
        return root.UseOf(_lock!).Status.Modified;
    }

    private void Evict(DirectoryHandle bodies, DateTimeOffset now)
    {
        List<KeptBody> all = [];
        long size = 0;
        foreach (var folder in bodies.Entries())
        {
            using var names = bodies.TryOpenDirectory(folder);
            foreach (var name in names?.Entries() ?? [])
            {
                if (names!.UseOf(name) is not { Status: { Kind: FileKind.Regular } status } use)
                    continue;
                all.Add(new KeptBody(folder, name, status.Size, Used(names, name, use.Accessed, now)));
                size = Sum(size, status.Size);
            }
        }

        all.Sort(static (a, b) => a.Used.CompareTo(b.Used));
        var evicted = 0;
        for (var limit = rules.Value.Options.SharedMaxSize; evicted < all.Count && size > limit; evicted++)
        {
            using var names = bodies.TryOpenDirectory(all[evicted].Folder);
            names?.Remove(all[evicted].Name);
            size -= all[evicted].Size;
        }

        counters.Evicted(evicted);
        counters.Holds(size, all.Count - evicted);
        if (evicted > 0)
            LogEvicted(evicted, size);
        DiskFailure.Write(_lock!, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{size} {all.Count - evicted} ").PadRight(63) + "\n"), 0);
    }

    // Of a clock that was ahead: it would stay for as long as that was.
    private static DateTimeOffset Used(DirectoryHandle folder, FileName name, DateTimeOffset used, DateTimeOffset now)
    {
        if (used <= now)
            return used;
        using var file = folder.OpenRegular(name);
        if (file is not null)
            _ = Libc.SetTimes(file, [0, Libc.Now, 0, Libc.Unchanged]);
        return now;
    }

    // A hostile member's sparse files may add up to more than a number holds.
    private static long Sum(long sum, long size) => sum > long.MaxValue - size ? long.MaxValue : sum + size;

    // What is written grows, and so does not get old; a lease that somebody holds is as old as its download. A link in the place of the folder ends
    // its own sweep alone.
    private void Sweep(DirectoryHandle root, string name, DateTimeOffset before)
    {
        try
        {
            using var folder = root.TryOpen(name);
            foreach (var entry in folder?.Entries() ?? [])
            {
                if (folder!.Status(entry) is { } status && status.Modified < before && !IsHeld(folder, entry, status))
                    folder.RemoveTree(entry, CancellationToken.None);
            }
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogNotSwept(name, e.Message);
        }
    }

    private static bool IsHeld(DirectoryHandle folder, FileName name, FileStatus status)
    {
        if (status.Kind != FileKind.Regular)
            return false;
        using var file = folder.OpenRegular(name);
        return file is not null && Libc.Lock(file, FileLock.Exclusive | FileLock.NonBlocking) != 0;
    }

    // What who evicts has counted.
    private void Read(DirectoryHandle root)
    {
        var text = Encoding.ASCII.GetString(root.ReadBytes(SharedVolume.EvictionLock, 64) ?? []).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (text is [var size, var bodies, ..] && long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)
            && long.TryParse(bodies, NumberStyles.None, CultureInfo.InvariantCulture, out var count))
            counters.Holds(bytes, count);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "shared cache not swept {Folder} {Reason}")]
    private partial void LogNotSwept(string folder, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "shared cache evicted {Count} bodies, {Size} bytes are left")]
    private partial void LogEvicted(int count, long size);

    private sealed class KeptBody(FileName folder, FileName name, long size, DateTimeOffset used)
    {
        public FileName Folder { get; } = folder;

        public FileName Name { get; } = name;

        public long Size { get; } = size;

        public DateTimeOffset Used { get; } = used;
    }
}
