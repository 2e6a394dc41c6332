using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>Limits of resources (getrlimit(2)).</summary>
internal static partial class Libc
{
    public const int FileDescriptors = 7;

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    public static partial int GetLimit(int resource, out Limit limit);

    [LibraryImport("libc", EntryPoint = "setrlimit", SetLastError = true)]
    public static partial int SetLimit(int resource, in Limit limit);

    /// <param name="Soft">What counts; may be raised to <paramref name="Hard"/>.</param>
    [StructLayout(LayoutKind.Sequential)]
    internal readonly record struct Limit(ulong Soft, ulong Hard);
}
