using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>mount(2) and what is mounted now.</summary>
internal static class Mounts
{
    private const ulong Bind = 4096;
    private const int Detach = 2;

    /// <summary>Lays <paramref name="upper"/> over <paramref name="lower"/> at <paramref name="target"/>. Options are separated by commas and
    /// paths by colons in the kernel's syntax, so both are refused in the paths.</summary>
    /// <exception cref="LibcException">EPERM without CAP_SYS_ADMIN; EINVAL when upper lies on a file system that cannot be one.</exception>
    public static void Overlay(string lower, string upper, string work, string target)
    {
        foreach (var path in new[] { lower, upper, work })
        {
            if (path.AsSpan().ContainsAny(",:\\"))
                throw new ArgumentException($"an overlay path cannot hold ',', ':' or '\\': {path}", nameof(lower));
        }

        Mount("overlay", target, "overlay", 0, $"lowerdir={lower},upperdir={upper},workdir={work}");
    }

    /// <summary>Shows one open directory at the place of another, whatever their names have become since they were opened.</summary>
    public static void BindTo(DirectoryHandle source, DirectoryHandle target)
        => Mount(source.ProcPath, target.ProcPath, null, Bind, null, $"{source} on {target}");

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
        foreach (var line in File.ReadLines("/proc/self/mountinfo"))
        {
            // proc(5): id parent major:minor root mount-point options [optional fields] - type source super-options
            var fields = line.Split(' ');
            var separator = Array.IndexOf(fields, "-", 6);
            if (separator > 0 && Unescape(fields[4]) == target)
                type = fields[separator + 1];
        }

        return type;
    }

    private static void Mount(string source, string target, string? type, ulong flags, string? data, string? subject = null)
    {
        if (Libc.Mount(source, target, type, flags, data) != 0)
            throw new LibcException("mount", subject ?? $"{type} on {target}", Marshal.GetLastPInvokeError());
    }

    private static string Unescape(string field) => field.Replace("\\040", " ", StringComparison.Ordinal);
}
