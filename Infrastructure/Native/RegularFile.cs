using System.Text;

namespace Discobot.Infrastructure.Native;

/// <summary>Files that have an end: opening a FIFO waits for somebody who writes, and a device may never end.</summary>
internal static class RegularFile
{
    /// <summary>Whether a path leads to one, or to nothing.</summary>
    public static bool IsOrMissing(string path) => Libc.StatusOf(path) is not { } status || status.Kind == FileKind.Regular;

    /// <summary>Its text; in an encoding that is named every byte counts, also those of a mark of byte order.</summary>
    /// <exception cref="IOException">It is none, or cannot be read.</exception>
    public static string ReadAllText(string path, Encoding? encoding = null) => encoding?.GetString(ReadAllBytes(path)) ?? File.ReadAllText(Checked(path));

    /// <exception cref="IOException">It is none, or cannot be read.</exception>
    public static byte[] ReadAllBytes(string path) => File.ReadAllBytes(Checked(path));

    /// <exception cref="IOException">It is none, or cannot be read.</exception>
    public static string[] ReadAllLines(string path, Encoding? encoding = null) => File.ReadAllLines(Checked(path), encoding ?? Encoding.UTF8);

    // Where somebody may put another in its place meanwhile, it is opened by DirectoryHandle.OpenRegular instead.
    private static string Checked(string path) => IsOrMissing(path) ? path : throw new IOException($"{path} is no regular file");
}
