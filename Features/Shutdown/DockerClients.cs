using System.Diagnostics;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Shutdown;

/// <summary>
/// Who talks to the Docker daemon. A pull is downloaded before the proxy ends and unpacked after that: as long as somebody waits for an
/// answer, the daemon gets a little time before it is told to stop.
/// </summary>
/// <param name="paths">Where the daemon listens.</param>
/// <param name="sockets">The kernel's list, proc(5): /proc/net/unix.</param>
internal sealed class DockerClients(IEnumerable<string> paths, string sockets = "/proc/net/unix")
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    // The list has the path by which the daemon bound it, where /var/run may be a link.
    private readonly HashSet<string> _paths = [.. paths.SelectMany(path => new[] { path, RealPath.Below("/", path) })];

    /// <summary>Waits until nobody is connected, at most two seconds and never longer than <paramref name="budget"/>.</summary>
    public async Task LeaveAsync(TimeSpan budget)
    {
        var watch = Stopwatch.StartNew();
        while (Any() && watch.Elapsed < Limit && watch.Elapsed < budget)
            await Task.Delay(Poll);
    }

    // Num RefCount Protocol Flags Type St Inode Path: 03 is connected.
    private bool Any() => File.Exists(sockets) && RegularFile.ReadAllLines(sockets)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Any(fields => fields is [_, _, _, _, _, "03", _, var path] && _paths.Contains(path));
}
