using System.Runtime.InteropServices;
using System.Text;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Configuration;

/// <summary>
/// Whether this process can write somewhere, found out by writing: what permissions say is no promise on file systems that take no files, are full
/// or over a quota. Nothing is left behind.
/// </summary>
internal static class WriteTrial
{
    private const uint OwnerOnly = 0x180; // 0600
    private const int IsDirectory = 21;
    private const int NoSpace = 28;
    private const int ReadOnlyFileSystem = 30;
    private const int QuotaExceeded = 122;

    // Files of the kernel's own: root may open many for writing, and none keeps what is written.
    private static readonly string[] OfTheKernel =
    [
        "proc", "sysfs", "debugfs", "tracefs", "securityfs", "configfs",
        // As mount(8) names them and as .NET does, by their numbers or by their mounts.
        "cgroup", "cgroupfs", "cgroup2", "cgroup2fs", "bpf", "bpf_fs",
    ];

    /// <summary>Makes a file that has no name (O_TMPFILE, open(2)), or where there are none of these one with a name, and removes it.</summary>
    /// <param name="directory">One that exists.</param>
    /// <param name="mayBeFull">Whether it is enough that there could be files when there is room: a program that has filled its disk must start again.</param>
    /// <returns>Why it cannot be done and what to do about it; null: it can.</returns>
    public static string? Into(string directory, bool mayBeFull = false)
    {
        var error = 0;
        // What is made is removed from the same directory, whatever its path means by then.
        using var place = Open(directory, Libc.PathOnly | Libc.DirectoryOnly, ref error);
        if (place.IsInvalid)
            return Reason(error, directory);
        using (var nameless = Open(place, ".", Libc.WriteOnly | Libc.Nameless, ref error))
        {
            if (!nameless.IsInvalid)
                return mayBeFull ? null : Write(nameless, directory);
        }

        if (mayBeFull && error is (NoSpace or QuotaExceeded))
            return null;

        // Kernels and file systems that know no such files say so in several ways.
        if (error is not (LibcException.NotSupported or LibcException.Invalid or LibcException.NotFound or IsDirectory))
            return Reason(error, directory);
        var name = $".discobot-{Guid.NewGuid():N}";
        using var named = Open(place, name, Libc.WriteOnly | Libc.Create | Libc.Exclusive, ref error);
        if (named.IsInvalid)
            return mayBeFull && error is (NoSpace or QuotaExceeded) ? null : Reason(error, directory);
        if (Libc.UnlinkAt(place, Encoding.UTF8.GetBytes(name + "\0"), 0) != 0)
            return $"{directory} lets no file be removed ({Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}), as {name} that was made to try it: name another directory";
        return mayBeFull ? null : Write(named, directory);
    }

    /// <summary>Opens a file as a log does; nothing is written.</summary>
    /// <param name="file">A regular file that exists.</param>
    /// <returns>As <see cref="Into"/>.</returns>
    public static string? To(string file)
    {
        var error = 0;
        using var opened = Open(file, Libc.WriteOnly | Libc.NonBlocking, ref error);
        return opened.IsInvalid ? error is LibcException.AccessDenied or LibcException.NotPermitted ? "may not be written by this user" : Reason(error, Path.GetDirectoryName(file)!)
            : OfTheKernel.Contains(TypeOf(file)) ? $"is a file of the kernel's ({TypeOf(file)}), which keeps nothing: name one in a directory of your own" : null;
    }

    private static SafeFileHandle Open(string path, int flags, ref int error)
    {
        var opened = Libc.OpenAt(Libc.CurrentDirectory, Encoding.UTF8.GetBytes(path + "\0"), flags | Libc.CloseOnExec, OwnerOnly);
        if (opened.IsInvalid)
            error = Marshal.GetLastPInvokeError();
        return opened;
    }

    private static SafeFileHandle Open(SafeHandle directory, string name, int flags, ref int error)
    {
        var opened = Libc.OpenAt(directory, Encoding.UTF8.GetBytes(name + "\0"), flags | Libc.CloseOnExec, OwnerOnly);
        if (opened.IsInvalid)
            error = Marshal.GetLastPInvokeError();
        return opened;
    }

    // A full disk takes names, and no bytes.
    private static string? Write(SafeHandle file, string directory) =>
        Libc.Write((int)file.DangerousGetHandle(), "?"u8, 1) == 1 ? null : Reason(Marshal.GetLastPInvokeError(), directory);

    private static string Reason(int error, string directory) => error switch
    {
        ReadOnlyFileSystem => $"{directory} is mounted read-only: mount it to be written, or name another directory",
        NoSpace => $"no space is left in {directory}: make room, or name another directory",
        QuotaExceeded => $"this user's quota for {directory} is used up: make room, or name another directory",
        LibcException.AccessDenied or LibcException.NotPermitted when !OfTheKernel.Contains(TypeOf(directory)) && !Libc.MayWriteInto(directory) =>
            $"this user may not write into {directory}: let it (chown, chmod), or name another directory",
        LibcException.AccessDenied or LibcException.NotPermitted or LibcException.NotFound or LibcException.NotSupported =>
            $"{directory} takes no new files ({TypeOf(directory)}): name another directory",
        _ => $"no file can be written in {directory} ({Marshal.GetPInvokeErrorMessage(error)}): name another directory",
    };

    // The file system that statfs(2) tells of a path.
    private static string TypeOf(string path)
    {
        try
        {
            return new DriveInfo(path).DriveFormat;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return "an unknown file system";
        }
    }
}
