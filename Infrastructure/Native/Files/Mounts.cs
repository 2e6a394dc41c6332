using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>mount(2) and what is mounted now.</summary>
internal static class Mounts
{
    private const ulong Bind = 4096;
    private const ulong Remount = 32;
    private const ulong Recursive = 16384;
    private const int Detach = 2;

    /// <summary>Lays <paramref name="upper"/> over <paramref name="lower"/> at <paramref name="target"/>. Options are separated by commas and
    /// paths by colons in the kernel's syntax, so both are refused in the paths.</summary>
    /// <exception cref="LibcException">EPERM without CAP_SYS_ADMIN; EINVAL when upper lies on a file system that cannot be one.</exception>
    /// <param name="lower">What lies below.</param>
    /// <param name="upper">What is written.</param>
    /// <param name="work">Empty, on the file system of <paramref name="upper"/>.</param>
    /// <param name="target">Where it is seen.</param>
    /// <param name="options">More of overlayfs.rst's, separated by commas.</param>
    public static void Overlay(string lower, string upper, string work, string target, string options)
    {
        foreach (var path in new[] { lower, upper, work })
        {
            if (path.AsSpan().ContainsAny(",:\\"))
                throw new ArgumentException($"an overlay path cannot hold ',', ':' or '\\': {path}", nameof(lower));
        }

        Mount("overlay", target, "overlay", 0, $"lowerdir={lower},upperdir={upper},workdir={work},{options}");
    }

    /// <summary>Shows one open directory at the place of another, whatever their names have become since they were opened.</summary>
    public static void BindTo(DirectoryHandle source, DirectoryHandle target)
        => Mount(source.ProcPath, target.ProcPath, null, Bind, null, $"{source} on {target}");

    /// <summary>Shows an open file or directory, with all that is mounted below it, at the place of another.</summary>
    public static void BindTreeTo(MountPoint source, MountPoint target)
        => Mount(source.ProcPath, target.ProcPath, null, Bind | Recursive, null, $"{source} on {target}");

    /// <summary>Takes "read-only" from a mount; the file system and what else is mounted of it stay as they are.</summary>
    public static void MakeWritable(string target) => Mount("none", target, null, Remount | Bind, null, $"{target} writable");

    /// <summary>Takes a mount away from the tree at once; it ends when nobody uses it any more.</summary>
    public static void Remove(string target)
    {
        if (Libc.Unmount(target, Detach) != 0)
            throw LibcException.Last("umount", target);
    }

    /// <summary>The type of the file system mounted exactly at <paramref name="target"/>, the topmost one; null when none is.</summary>
    public static string? TypeAt(string target)
    {
        string? type = null;
        foreach (var (point, mounted) in All())
        {
            if (point == target)
                type = mounted;
        }

        return type;
    }

    /// <summary>The control groups that are mounted read-only, each with the group that is its top.</summary>
    public static IReadOnlyList<(string Point, string Group)> ReadOnlyControlGroups()
        => [.. File.ReadLines("/proc/self/mountinfo").Select(line => line.Split(' '))
            .Where(fields => Array.IndexOf(fields, "-", 6) is var at and > 0 && fields[at + 1] is "cgroup" or "cgroup2" && fields[5].Split(',').Contains("ro"))
            .Select(fields => (Unescape(fields[4]), Unescape(fields[3])))];

    /// <summary>The places below a directory where something is mounted, those within another left out.</summary>
    public static IReadOnlyList<string> Below(string directory)
    {
        var uppermost = new List<string>();
        foreach (var point in All().Select(m => m.Point).Where(p => p.StartsWith(directory + "/", StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal))
        {
            if (!uppermost.Exists(above => point.StartsWith(above + "/", StringComparison.Ordinal)))
                uppermost.Add(point);
        }

        return uppermost;
    }

    /// <summary>Whether what holds a path is mounted read-only, so that nobody writes there.</summary>
    /// <param name="path">Absolute, without links; need not exist.</param>
    public static bool IsReadOnlyAt(string path)
    {
        var (longest, isReadOnly) = ("", false);
        foreach (var fields in File.ReadLines("/proc/self/mountinfo").Select(line => line.Split(' ')))
        {
            // Of several at one place the last is seen.
            if (Unescape(fields[4]) is var point && point.Length >= longest.Length && (point == "/" || path == point || path.StartsWith(point + "/", StringComparison.Ordinal)))
                (longest, isReadOnly) = (point, fields[5].Split(',').Contains("ro") || fields[^1].Split(',').Contains("ro"));
        }

        return isReadOnly;
    }

    /// <summary>The places below a directory where the kernel shows what it knows, as files: some never end, or wait for something to happen.</summary>
    public static IEnumerable<string> OfTheKernelBelow(string directory)
        => All().Where(m => m.Type is "proc" or "sysfs" or "cgroup" or "cgroup2" or "debugfs" or "tracefs" or "securityfs" or "bpf" or "configfs" or "devtmpfs" or "devpts" or "mqueue"
            && m.Point.StartsWith(directory + "/", StringComparison.Ordinal)).Select(m => m.Point);

    private static IEnumerable<(string Point, string Type)> All()
    {
        foreach (var line in File.ReadLines("/proc/self/mountinfo"))
        {
            // proc(5): id parent major:minor root mount-point options [optional fields] - type source super-options
            var fields = line.Split(' ');
            var separator = Array.IndexOf(fields, "-", 6);
            if (separator > 0)
                yield return (Unescape(fields[4]), fields[separator + 1]);
        }
    }

    private static void Mount(string source, string target, string? type, ulong flags, string? data, string? subject = null)
    {
        if (Libc.Mount(source, target, type, flags, data) != 0)
            throw new LibcException("mount", subject ?? $"{type} on {target}", Marshal.GetLastPInvokeError());
    }

    private static string Unescape(string field) => field.Replace("\\040", " ", StringComparison.Ordinal).Replace("\\011", "\t", StringComparison.Ordinal)
        .Replace("\\012", "\n", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal);
}
