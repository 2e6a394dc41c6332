namespace Discobot.Infrastructure.Native;

/// <summary>Files that have an end: opening a FIFO waits for somebody who writes, and a device may never end.</summary>
internal static class RegularFile
{
    /// <summary>Whether a path leads to one, or to nothing.</summary>
    public static bool IsOrMissing(string path)
    {
        var real = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
        return Libc.StatusOf(real) is not { } status || status.Kind == FileKind.Regular;
    }

    /// <exception cref="IOException">It is none, or cannot be read.</exception>
    public static string ReadAllText(string path)
        => IsOrMissing(path) ? File.ReadAllText(path) : throw new IOException($"{path} is no regular file");
}
