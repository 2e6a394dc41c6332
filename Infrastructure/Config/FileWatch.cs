using System.Threading.Channels;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure.Config;

/// <summary>
/// Tells when the content behind a path may have changed. inotify on its directory tells at once, about editors that write beside and
/// rename, and about the swapped <c>..data</c> link of a Kubernetes volume; what it cannot see (a link's target elsewhere, a directory that
/// was replaced, watches used up) a look each second finds.
/// </summary>
internal sealed class FileWatch(string path, TimeProvider time)
{
    /// <summary>How often the file is looked at: one statx(2).</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>How long a file must stay as it is before it counts as written: editors write in several steps.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(50);

    private readonly string _directory = Path.GetDirectoryName(path) ?? "/";

    /// <summary>Calls <paramref name="changed"/> once at the start, since the file may have changed since it was read, and after each change.</summary>
    /// <remarks>There may be calls without a change: compare the content. The calls never overlap.</remarks>
    public async Task RunAsync(Action changed, CancellationToken cancellationToken)
    {
        var wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        using var watcher = TryWatch(() => wakes.Writer.TryWrite(true));
        await using var ticks = time.CreateTimer(_ => wakes.Writer.TryWrite(false), null, Interval, Interval);
        var seen = Libc.StatusOf(path);
        changed();
        await foreach (var told in wakes.Reader.ReadAllAsync(cancellationToken))
        {
            if (!told && Libc.StatusOf(path) == seen)
                continue;
            seen = await SettledAsync(cancellationToken);
            changed();
        }
    }

    // Waits until two looks agree; a file that never rests is read after a second all the same.
    private async Task<FileStatus?> SettledAsync(CancellationToken cancellationToken)
    {
        var before = Libc.StatusOf(path);
        for (var looks = 0; looks < 20; looks++)
        {
            await Task.Delay(Settling, time, cancellationToken);
            var now = Libc.StatusOf(path);
            if (now == before)
                break;
            before = now;
        }

        return before;
    }

    private FileSystemWatcher? TryWatch(Action told)
    {
        try
        {
            var watcher = new FileSystemWatcher(_directory)
            {
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.CreationTime,
            };
            watcher.Changed += (_, _) => told();
            watcher.Created += (_, _) => told();
            watcher.Deleted += (_, _) => told();
            watcher.Renamed += (_, _) => told();
            watcher.EnableRaisingEvents = true;
            return watcher;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
