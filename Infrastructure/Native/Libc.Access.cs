using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

internal static partial class Libc
{
    private const int WriteAndSearch = 2 | 1;

    /// <summary>Whether this process may create entries in a directory: also false on a read-only file system (access(2)).</summary>
    public static bool MayWriteInto(string directory) => Access(directory, WriteAndSearch) == 0;

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);
}
