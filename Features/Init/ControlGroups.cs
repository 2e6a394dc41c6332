namespace Discobot.Features.Init;

/// <summary>
/// Lets a Docker inside the container limit its own containers. In cgroup v2 a group that holds processes cannot hand controllers to
/// groups below it (cgroup-v2.rst, "No Internal Process Constraint"), so ours move into a group of their own.
/// </summary>
internal sealed class ControlGroups(Container container)
{
    public void AllowNesting()
    {
        var top = container.Paths.In("/sys/fs/cgroup");
        var controllers = Path.Combine(top, "cgroup.controllers");
        try
        {
            // Only where the container has a group hierarchy to itself.
            if (!File.Exists(controllers) || File.ReadAllText(container.Paths.In("/proc/self/cgroup")).Trim() is not ("0::/" or "0::/init"))
                return;
            var ours = Directory.CreateDirectory(Path.Combine(top, "init")).FullName;
            foreach (var process in File.ReadAllLines(Path.Combine(top, "cgroup.procs")))
                Move(process, Path.Combine(ours, "cgroup.procs"));
            var names = File.ReadAllText(controllers).Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
            File.WriteAllText(Path.Combine(top, "cgroup.subtree_control"), string.Join(' ', names.Select(name => "+" + name)));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Debug($"cgroups cannot be nested here: {error.Message}");
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
