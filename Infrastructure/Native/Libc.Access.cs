using System.Runtime.InteropServices;
using System.Text;

namespace Discobot.Infrastructure.Native;

internal static partial class Libc
{
    private const int ToRead = 4;
    private const int ToWrite = 2;
    private const int WriteAndSearch = ToWrite | 1;
    private const uint BasicFields = 0x7FF;

    /// <summary>Whether this process may create entries in a directory: also false on a read-only file system (access(2)).</summary>
    public static bool MayWriteInto(string directory) => Access(directory, WriteAndSearch) == 0;

    /// <summary>Whether this process may write to a file that exists (access(2)).</summary>
    public static bool MayWrite(string path) => Access(path, ToWrite) == 0;

    /// <summary>Whether this process may read a file that exists (access(2)).</summary>
    public static bool MayRead(string path) => Access(path, ToRead) == 0;

    /// <summary>What a path leads to in the end, links followed; null when there is nothing or it may not be seen.</summary>
    public static FileStatus? StatusOf(string path) =>
        StatX(CurrentDirectory, Encoding.UTF8.GetBytes(path + '\0'), 0, BasicFields, out var buffer) == 0 ? FileStatus.From(buffer) : null;

    /// <summary>Whether there is nothing at a path, links followed (ENOENT); false also where it may not be seen.</summary>
    public static bool IsMissing(string path) =>
        StatX(CurrentDirectory, Encoding.UTF8.GetBytes(path + '\0'), 0, BasicFields, out _) != 0 && Marshal.GetLastPInvokeError() == LibcException.NotFound;

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int StatX(int directory, byte[] path, int flags, uint mask, out StatXBuffer buffer);
}
