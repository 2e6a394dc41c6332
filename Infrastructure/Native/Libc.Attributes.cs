using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>Extended attributes (xattr(7)), locks and links of open files.</summary>
internal static partial class Libc
{
    public const int PathOnly = 0x200000; // O_PATH
    public const int ReadWrite = 0x2;

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(SafeHandle file, int operation);

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
