using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>A directory in which several processes, that need not trust each other, work at the same time.</summary>
internal sealed partial class DirectoryHandle
{
    /// <summary>Opens a directory by its name in this one. Whoever of several comes first makes it, with exactly these rights.</summary>
    /// <exception cref="LibcException">There is something else of that name.</exception>
    public DirectoryHandle OpenOrMake(FileName name, uint permissions)
    {
        if (OpenChild(name) is { } there)
            return there;
        var isOurs = Libc.MakeDirectoryAt(_handle, name.Bytes, permissions) == 0;
        if (!isOurs && LibcException.Last("mkdir", $"{_name}/{name}") is { Number: not LibcException.Exists } error)
            throw error;
        var made = OpenChild(name) ?? throw new LibcException("open", $"{_name}/{name}", LibcException.NotFound);
        if (isOurs)
            made.SetPermissions(permissions);
        return made;
    }

    /// <summary>Makes a file that does not exist yet, to read and write, with exactly these rights, as whoever this process is.</summary>
    public SafeFileHandle CreateNew(FileName name, uint permissions)
    {
        var handle = Libc.OpenAt(_handle, name.Bytes, Libc.ReadWrite | Libc.Create | Libc.Exclusive | Libc.NoFollow | Libc.CloseOnExec, 0x180);
        if (handle.IsInvalid)
            throw LibcException.Last("create", $"{_name}/{name}");
        if (Libc.Chmod(handle, permissions) == 0)
            return handle;
        var error = LibcException.Last("chmod", $"{_name}/{name}");
        handle.Dispose();
        throw error;
    }

    /// <summary>What an open file is, and when it was last read.</summary>
    public (FileStatus Status, DateTimeOffset Accessed) UseOf(SafeFileHandle file) => Use(file, "", Libc.EmptyPath)!.Value;

    /// <summary>What an entry is, and when it was last read; null when there is none.</summary>
    public (FileStatus Status, DateTimeOffset Accessed)? UseOf(FileName name) => Use(_handle, name, Libc.SymlinkNoFollow);

    private (FileStatus, DateTimeOffset)? Use(System.Runtime.InteropServices.SafeHandle handle, FileName name, int flags)
    {
        const uint BasicStats = 0x7FF;
        if (Libc.StatX(handle, name.Bytes, flags, BasicStats, out var buffer) == 0)
            return (FileStatus.From(buffer), FileStatus.TimeOf(buffer.AccessedSeconds, buffer.AccessedNanoseconds));
        var error = LibcException.Last("stat", $"{_name}/{name}");
        return error.Number == LibcException.NotFound ? null : throw error;
    }
}
