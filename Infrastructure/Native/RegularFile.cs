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

    /// <summary>Whether every user may read it: its own rights say so, and those of every directory that it is reached by.</summary>
    /// <param name="path">Without links in it.</param>
    public static bool IsReadableByAll(string path)
    {
        const uint Read = 4, Search = 1; // of others
        if (Libc.StatusOf(path) is not { } file || (file.Permissions & Read) == 0)
            return false;
        for (var directory = Path.GetDirectoryName(path); directory is not null; directory = Path.GetDirectoryName(directory))
        {
            if (Libc.StatusOf(directory) is not { } status || (status.Permissions & Search) == 0)
                return false;
        }

        return true;
    }
}
