using System.Globalization;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// Lets a Docker inside the container limit its own containers. In cgroup v2 a group that holds processes cannot hand controllers to
/// groups below it (cgroup-v2.rst, "No Internal Process Constraint"), so ours move into a group of their own.
/// </summary>
internal sealed class ControlGroups(Container container)
{
    private const string Processes = "cgroup.procs";

    public void AllowNesting()
    {
        var top = container.Paths.In("/sys/fs/cgroup");
        try
        {
            MakeOwnWritable(top);
            if (!IsOwn(top))
                return;
            var ours = Directory.CreateDirectory(Path.Combine(top, "init")).FullName;
            foreach (var process in RegularFile.ReadAllLines(Path.Combine(top, Processes)))
                Move(process, Path.Combine(ours, Processes));
            var names = RegularFile.ReadAllText(Path.Combine(top, "cgroup.controllers")).Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
            File.WriteAllText(Path.Combine(top, "cgroup.subtree_control"), string.Join(' ', names.Select(name => "+" + name)));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Debug($"cgroups cannot be nested here: {error.Message}");
        }
    }

    // /proc/self/cgroup says "0::/" in any cgroup namespace, also when the tree that is mounted is the host's. The tree itself does not lie:
    // its uppermost group is ours when this very process is in it (or in the group below that we made), nobody outside is (cgroup.procs shows
    // those as 0), and it is not the top of all groups, which has no type.
    private static bool IsOwn(string top)
    {
        if (!File.Exists(Path.Combine(top, "cgroup.controllers")) || !File.Exists(Path.Combine(top, "cgroup.type")))
            return false;
        var above = RegularFile.ReadAllLines(Path.Combine(top, Processes));
        var below = Path.Combine(top, "init", Processes);
        var all = File.Exists(below) ? [.. above, .. RegularFile.ReadAllLines(below)] : above;
        return all.Contains(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)) && !all.Contains("0");
    }

    // An engine mounts the container's own groups read-only unless it is privileged. In version 1 a tree whose top is not "/" is such a group.
    private static void MakeOwnWritable(string top)
    {
        foreach (var (point, group) in Mounts.ReadOnlyControlGroups().Where(m => m.Point == top || m.Point.StartsWith(top + "/", StringComparison.Ordinal)))
        {
            if (point == top ? IsOwn(top) : group is not ("/" or ['/', '.', '.', ..]))
                Mounts.MakeWritable(point);
        }
    }

    // A process may have ended since, or be a thread of the kernel's.
    private static void Move(string process, string group)
    {
        try
        {
            File.WriteAllText(group, process);
        }
        catch (IOException)
        {
        }
    }
}
