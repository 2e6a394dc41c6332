using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>
/// Directories in which a process, and all that it starts, follows no symbolic links: in a mount namespace of its own, each is mounted over itself with
/// <c>nosymfollow</c> (mount_setattr(2), Linux 5.14). What is mounted later in the first namespace is seen here too; what is mounted here is not seen there.
/// </summary>
internal static partial class LinklessMounts
{
    private const int NewMounts = 0x20000;
    private const ulong BindTree = 4096 | 16384;
    private const ulong Slave = 0x80000 | 16384;
    private const uint Recursive = 0x8000;
    private const ulong NoSymbolicLinks = 0x200000;
    private const ulong NoDevices = 0x4;

    /// <summary>Enters such a namespace. Only of use right before the process becomes another program: it is the calling thread alone that does.</summary>
    /// <exception cref="LibcException">EPERM without CAP_SYS_ADMIN; EINVAL or ENOSYS on an older kernel.</exception>
    public static void Enter(IEnumerable<string> directories)
    {
        Check(Unshare(NewMounts), "unshare", "for mounts of its own");
        Check(Libc.Mount("none", "/", null, Slave, null), "mount", "/ as a slave");
        foreach (var directory in directories)
        {
            Check(Libc.Mount(directory, directory, null, BindTree, null), "mount", directory);
            Set(directory, NoSymbolicLinks);
        }
    }

    /// <summary>Makes device nodes in a directory mean nothing, for everybody.</summary>
    public static void ForbidDevices(string directory)
    {
        if (Mounts.TypeAt(directory) is null)
            Check(Libc.Mount(directory, directory, null, BindTree, null), "mount", directory);
        Set(directory, NoDevices);
    }

    private static void Set(string directory, ulong attribute)
        => Check(SetAttributes(Libc.CurrentDirectory, directory, Recursive, new Attributes { Set = attribute }, (nuint)Marshal.SizeOf<Attributes>()), "mount_setattr", directory);

    private static void Check(int result, string call, string subject)
    {
        if (result != 0)
            throw LibcException.Last(call, subject);
    }

    // Number 442 on every architecture; libc has a function for it only since glibc 2.36.
    private static int SetAttributes(int directory, string path, uint flags, in Attributes attributes, nuint size)
        => (int)SystemCall(442, directory, path, flags, attributes, size);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint SystemCall(nint number, nint directory, string path, nuint flags, in Attributes attributes, nuint size);

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);

    // struct mount_attr (linux/mount.h).
    [StructLayout(LayoutKind.Sequential)]
    private struct Attributes
    {
        public ulong Set;
        public ulong Clear;
        public ulong Propagation;
        public ulong UserNamespace;
    }
}
