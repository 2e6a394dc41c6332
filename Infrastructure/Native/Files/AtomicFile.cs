using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>Files that are whole or absent after a crash: written beside their place, synced, renamed, and the rename synced.</summary>
internal static partial class AtomicFile
{
    private const int OpenDirectory = 0x10000 | 0x80000; // O_DIRECTORY | O_CLOEXEC, x86-64 and most others; O_RDONLY is 0.
    private const int OpenDirectoryArm = 0x4000 | 0x80000;

    /// <summary>
    /// Replaces <paramref name="path"/>. The temporary file is created exclusively and the name itself is replaced, so a symbolic
    /// link placed at either is never written through.
    /// </summary>
    /// <param name="path">In a directory that exists.</param>
    /// <param name="content">The whole file.</param>
    /// <param name="mode">The file's mode, whatever the umask is.</param>
    /// <exception cref="IOException">The disk is full or failed; the old file stands.</exception>
    public static void Write(string path, ReadOnlySpan<byte> content, UnixFileMode mode) => Write(path, content, mode, null);

    /// <summary>Replaces the content of a file that is there, which stays whose it is: its owner, its group and its mode.</summary>
    /// <param name="path">The file itself, no link to it.</param>
    /// <param name="content">The whole file.</param>
    /// <exception cref="IOException">It is not there, the disk is full or failed, or this user may not give the file to its owner and group; the old file stands.</exception>
    public static void Replace(string path, ReadOnlySpan<byte> content)
    {
        var before = Libc.StatusOf(path) ?? throw new FileNotFoundException($"{path} is not there", path);
        Write(path, content, (UnixFileMode)before.Permissions, before.Owner);
    }

    private static void Write(string path, ReadOnlySpan<byte> content, UnixFileMode mode, Owner? owner)
    {
        var directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var temporary = Path.Combine(directory, $".{Path.GetFileName(path)}.{Path.GetRandomFileName()}");
        try
        {
            WriteNew(temporary, content, mode, owner);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e)
        {
            File.Delete(temporary);
            if (DiskFailure.IsTooLarge(e))
                throw new IOException($"write {path}: the file is larger than may be", e);
            throw;
        }

        SyncDirectory(directory);
    }

    /// <summary>Makes renames and deletions in <paramref name="directory"/> durable.</summary>
    /// <exception cref="IOException">It cannot be opened or synced.</exception>
    public static void SyncDirectory(string directory)
    {
        var isArm = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm;
        var descriptor = Open(directory, isArm ? OpenDirectoryArm : OpenDirectory);
        if (descriptor < 0)
            throw Failure("open", directory);
        try
        {
            // Some network and FUSE file systems cannot sync a directory (EINVAL): the rename is as durable as they make it.
            if (FSync(descriptor) != 0 && Marshal.GetLastPInvokeError() != 22)
                throw Failure("fsync", directory);
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    private static void WriteNew(string path, ReadOnlySpan<byte> content, UnixFileMode mode, Owner? owner)
    {
        using var file = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.None,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        file.Write(content);
        // Before the mode, of which a change of owner takes away.
        if (owner is { } whose && Libc.ChownAt(file.SafeFileHandle, [0], whose.User, whose.Group, Libc.EmptyPath) != 0)
            throw LibcException.Last("chown", string.Create(CultureInfo.InvariantCulture, $"to {whose.User}:{whose.Group}"));
        File.SetUnixFileMode(file.SafeFileHandle, mode);
        file.Flush(flushToDisk: true);
    }

    private static IOException Failure(string call, string path) =>
        new($"{call} {path}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
