using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>Extended attributes (xattr(7)), locks and links of open files.</summary>
internal static partial class Libc
{
    public const int PathOnly = 0x200000; // O_PATH
    public const int ReadWrite = 0x2;

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(SafeHandle file, int operation);

    /// <summary>Sets when a file was last read and last changed: seconds and nanoseconds of each, or one of the two below as nanoseconds.</summary>
    [LibraryImport("libc", EntryPoint = "futimens", SetLastError = true)]
    public static partial int SetTimes(SafeHandle file, ReadOnlySpan<long> times);

    /// <summary>For <see cref="SetTimes"/>: now, by the clock of whoever keeps the file.</summary>
    public const long Now = (1 << 30) - 1;

    /// <summary>For <see cref="SetTimes"/>: as it is.</summary>
    public const long Unchanged = (1 << 30) - 2;

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    public static partial int LinkAt(SafeHandle from, byte[] oldPath, SafeHandle to, byte[] newPath, int flags);

    [LibraryImport("libc", EntryPoint = "flistxattr", SetLastError = true)]
    public static partial nint ListAttributes(SafeHandle file, Span<byte> names, nuint size);

    [LibraryImport("libc", EntryPoint = "fgetxattr", SetLastError = true)]
    public static partial nint GetAttribute(SafeHandle file, byte[] name, Span<byte> value, nuint size);

    [LibraryImport("libc", EntryPoint = "fsetxattr", SetLastError = true)]
    public static partial int SetAttribute(SafeHandle file, byte[] name, ReadOnlySpan<byte> value, nuint size, int flags);

    [LibraryImport("libc", EntryPoint = "fremovexattr", SetLastError = true)]
    public static partial int RemoveAttribute(SafeHandle file, byte[] name);
}
