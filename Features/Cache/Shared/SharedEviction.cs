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
    VolumeAccess access, SharedCounters counters, Live<CacheRules> rules, TimeProvider time, ILogger<SharedEviction> log, int mostBodies = 200_000) : BackgroundService
{
    // Beyond that a round looks no further: who fills a folder with names is not to fill the memory.
    private const int MostSwept = 100_000;

    // By which a network file system's times may be ahead of its own.
    private static readonly TimeSpan Tolerated = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan SweepLimit = TimeSpan.FromSeconds(30);

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
        Sweep(root, SharedVolume.Incoming, now, Abandoned);
        Sweep(root, SharedVolume.Leases, now, Abandoned);
        Sweep(root, SharedVolume.Aside, now, Kept);
        using var bodies = root.OpenOrMake(SharedVolume.Bodies, root.Status().Permissions);
        Evict(bodies, now);
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
        var file = OpenLock(root);
        if (Libc.Lock(file, FileLock.Exclusive | FileLock.NonBlocking) != 0)
        {
            file.Dispose();
            return false;
        }

        _lock = file;
        return true;
    }

    private static SafeFileHandle OpenLock(DirectoryHandle root)
    {
        var permissions = root.Status().Permissions & 0x1B6 | 0x180;
        try
        {
            return root.OpenOrCreateFile(SharedVolume.EvictionLock, permissions);
        }
        catch (LibcException) when (root.Status(SharedVolume.EvictionLock) is not null)
        {
            // Something that nobody can lock would keep everybody from it for ever.
            root.RemoveTree(SharedVolume.EvictionLock, CancellationToken.None);
            return root.OpenOrCreateFile(SharedVolume.EvictionLock, permissions);
        }
    }

    // The time of the file system.
    private DateTimeOffset Touch(DirectoryHandle root)
    {
        if (Libc.SetTimes(_lock!, [0, Libc.Now, 0, Libc.Now]) != 0)
            throw LibcException.Last("utimens", SharedVolume.EvictionLock);
        return root.UseOf(_lock!).Status.Modified;
    }

    private void Evict(DirectoryHandle bodies, DateTimeOffset now)
    {
        List<KeptBody> all = [];
        for (var folder = 0; folder < 256 && all.Count < 2 * mostBodies; folder++)
            Try(SharedVolume.Bodies, () => Look(bodies, folder.ToString("x2", CultureInfo.InvariantCulture), now, all));
        all.Sort(static (a, b) => a.Used.CompareTo(b.Used));
        var size = all.Aggregate(0L, static (sum, body) => Sum(sum, body.Size));
        var (evicted, limit) = (0, rules.Value.Options.SharedMaxSize);
        // What is empty takes no room, but a name.
        foreach (var body in all.TakeWhile(_ => size > limit || all.Count - evicted > mostBodies))
        {
            // What is another's to remove is left to it.
            Try(SharedVolume.Bodies, () =>
            {
                using var names = bodies.TryOpenDirectory(body.Folder);
                names?.Remove(body.Name);
                (size, evicted) = (size - body.Size, evicted + 1);
            });
        }

        counters.Evicted(evicted);
        counters.Holds(size, all.Count - evicted);
        if (evicted > 0)
            LogEvicted(evicted, size);
        DiskFailure.Write(_lock!, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{size} {all.Count - evicted} ").PadRight(63) + "\n"), 0);
    }

    private void Look(DirectoryHandle bodies, FileName folder, DateTimeOffset now, List<KeptBody> all)
    {
        using var names = bodies.TryOpenDirectory(folder);
        foreach (var name in names?.Entries((2 * mostBodies) - all.Count) ?? [])
        {
            Try(SharedVolume.Bodies, () =>
            {
                if (names!.UseOf(name) is { Status: { Kind: FileKind.Regular } status } use)
                    all.Add(new KeptBody(folder, name, status.Size, Used(names, name, use.Accessed, now)));
            });
        }
    }

    // Of a clock that was ahead: it would stay for as long as that was. Where nobody but its owner may say otherwise, it is nobody's to keep.
    private static DateTimeOffset Used(DirectoryHandle folder, FileName name, DateTimeOffset used, DateTimeOffset now)
    {
        if (used - now < Tolerated)
            return used;
        using var file = folder.OpenRegular(name);
        return file is not null && SharedVolume.TryUse(file) ? now : DateTimeOffset.MinValue;
    }

    // A hostile member's sparse files may add up to more than a number holds.
    private static long Sum(long sum, long size) => sum > long.MaxValue - size ? long.MaxValue : sum + size;

    // What is written grows, and so does not get old; a lease that somebody holds is as old as its download.
    // The time of either is the file system's own: one that is far ahead was set, to stay for ever.
    private void Sweep(DirectoryHandle root, string name, DateTimeOffset now, TimeSpan age) => Try(name, () =>
    {
        using var limit = new CancellationTokenSource(SweepLimit, time);
        using var folder = root.TryOpen(name);
        foreach (var entry in folder?.Entries(MostSwept) ?? [])
        {
            Try(name, () =>
            {
                if (folder!.Status(entry) is { } status && (now - status.Modified).Duration() > age && !IsHeld(folder, entry, status))
                    folder.RemoveTree(entry, limit.Token);
            });
        }
    });

    // What somebody put in one place, or keeps from us, is in the way of that alone.
    private void Try(string name, Action work)
    {
        try
        {
            work();
        }
        catch (Exception e) when (DiskFailure.Is(e) || e is OperationCanceledException)
        {
            LogNotSwept(name, e.Message);
        }
    }

    private static bool IsHeld(DirectoryHandle folder, FileName name, FileStatus status)
    {
        if (status.Kind != FileKind.Regular)
            return false;
        try
        {
            using var file = folder.OpenRegular(name);
            return file is not null && Libc.Lock(file, FileLock.Exclusive | FileLock.NonBlocking) != 0;
        }
        catch (LibcException e) when (e.Number == LibcException.AccessDenied)
        {
            // It would stay for ever; and whoever holds it writes to it, or loses no more than its name.
            return false;
        }
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
