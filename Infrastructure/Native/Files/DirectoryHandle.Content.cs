using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

internal sealed partial class DirectoryHandle
{
    private const int MaxTries = 100;

    /// <summary>Opens a regular file for reading; a FIFO does not block and, like a link or a device, is refused.</summary>
    /// <returns>Null when there is no such entry.</returns>
    /// <exception cref="IOException">The entry is a link or no regular file.</exception>
    public SafeFileHandle? OpenRegular(FileName name)
    {
        var handle = Libc.OpenAt(_handle, name.Bytes, Libc.ReadOnly | Libc.NoFollow | Libc.NonBlocking | Libc.CloseOnExec, 0);
        if (handle.IsInvalid)
        {
            var error = LibcException.Last("open", $"{_name}/{name} without following links");
            return error.Number == LibcException.NotFound ? null : throw error;
        }

        if (Read(handle, "", Libc.EmptyPath) is { Kind: FileKind.Regular })
            return handle;
        handle.Dispose();
        throw new IOException($"{_name}/{name} is not a regular file");
    }

    /// <summary>Opens a regular file for reading and writing, making it, empty, ours and with exactly these rights, when it is missing.</summary>
    /// <exception cref="IOException">The entry is a link or no regular file; none of them is waited for.</exception>
    public SafeFileHandle OpenOrCreateFile(FileName name, uint permissions)
    {
        var existing = Libc.ReadWrite | Libc.NoFollow | Libc.NonBlocking | Libc.CloseOnExec;
        // Of somebody who makes and removes it all the time one turn is seen.
        for (var tries = 0; tries < MaxTries; tries++)
        {
            var made = Libc.OpenAt(_handle, name.Bytes, existing | Libc.Create | Libc.Exclusive, permissions);
            if (!made.IsInvalid)
            {
                if (Libc.Chmod(made, permissions) == 0)
                    return made;
                using (made)
                    throw LibcException.Last("chmod", $"{_name}/{name}");
            }

            var error = LibcException.Last("open", $"{_name}/{name}");
            if (error.Number != LibcException.Exists)
                throw error;
            if (OpenFile(name, existing) is { } file)
                return file;
        }

        throw new LibcException("open", $"{_name}/{name}", LibcException.WouldBlock);
    }

    // Null where it is gone.
    private SafeFileHandle? OpenFile(FileName name, int flags)
    {
        var handle = Libc.OpenAt(_handle, name.Bytes, flags, 0);
        if (handle.IsInvalid)
        {
            var error = LibcException.Last("open", $"{_name}/{name}");
            return error.Number == LibcException.NotFound ? null : throw error;
        }

        if (Read(handle, "", Libc.EmptyPath) is { Kind: FileKind.Regular })
            return handle;
        handle.Dispose();
        throw new LibcException("open", $"{_name}/{name}", LibcException.Invalid);
    }

    /// <summary>Whether a name leads to this very file, not to another that has taken its place.</summary>
    public bool IsNameOf(FileName name, SafeFileHandle file)
        => Status(name) is { } named && Read(file, "", Libc.EmptyPath) is { } open && named.Device == open.Device && named.Inode == open.Inode;

    /// <summary>Takes the lock of this directory (flock(2)) for as long as this handle lives; false when somebody else has it.</summary>
    /// <exception cref="LibcException">Its file system knows no locks.</exception>
    public bool TryLock()
    {
        if (Libc.Lock(_handle, FileLock.Exclusive | FileLock.NonBlocking) == 0)
            return true;
        var error = LibcException.Last("flock", _name);
        return error.Number == LibcException.WouldBlock ? false : throw error;
    }

    /// <summary>Reads a whole regular file of at most <paramref name="limit"/> bytes; null when there is no such entry.</summary>
    /// <exception cref="IOException">It is larger, or no regular file.</exception>
    public byte[]? ReadBytes(FileName name, int limit)
    {
        using var handle = OpenRegular(name);
        if (handle is null)
            return null;
        var size = Read(handle, "", Libc.EmptyPath)!.Value.Size;
        if (size > limit)
            throw new IOException($"{_name}/{name} has {size} bytes, more than the {limit} allowed");
        var buffer = new byte[limit + 1];
        var length = 0;
        for (int read; length < buffer.Length && (read = RandomAccess.Read(handle, buffer.AsSpan(length), length)) > 0;)
            length += read;
        return length > limit ? throw new IOException($"{_name}/{name} grew beyond the {limit} bytes allowed") : buffer[..length];
    }

    /// <summary>Makes a file that does not exist yet, with exactly these rights.</summary>
    public SafeFileHandle CreateFile(FileName name, uint permissions, Owner owner)
    {
        var handle = Libc.OpenAt(_handle, name.Bytes,
            Libc.WriteOnly | Libc.Create | Libc.Exclusive | Libc.NoFollow | Libc.CloseOnExec, 0x180);
        if (handle.IsInvalid)
            throw LibcException.Last("create", $"{_name}/{name}");
        if (Libc.ChownAt(handle, [0], owner.User, owner.Group, Libc.EmptyPath) != 0 || Libc.Chmod(handle, permissions) != 0)
        {
            var error = LibcException.Last("chown", $"{_name}/{name}");
            handle.Dispose();
            throw error;
        }

        return handle;
    }

    /// <summary>Writes a whole file beside its place and renames it there: readers see the old or the new one, never a half. A file that holds
    /// these bytes already stays, so that a full file system is no obstacle.</summary>
    public void WriteBytes(string name, ReadOnlySpan<byte> content, uint permissions, Owner owner)
    {
        if (Holds(name, content, permissions, owner))
            return;
        var temporary = $".{name}.discobot-new";
        Remove(temporary);
        try
        {
            using (var handle = CreateFile(temporary, permissions, owner))
                DiskFailure.Write(handle, content, 0);
            Rename(temporary, this, name);
        }
        catch (IOException)
        {
            Remove(temporary);
            throw;
        }
    }

    private bool Holds(string name, ReadOnlySpan<byte> content, uint permissions, Owner owner)
        => Status(name) is { Kind: FileKind.Regular } status && status.Size == content.Length && status.Permissions == permissions
            && status.Owner == owner && ReadBytes(name, content.Length) is { } bytes && content.SequenceEqual(bytes);

    /// <summary>Copies a regular file into another directory, under a temporary name until it is whole.</summary>
    public void CopyFile(
        FileName name, DirectoryHandle target, Owner owner, uint permissions, bool withCapabilities, CancellationToken cancellationToken)
    {
        using var source = OpenRegular(name) ?? throw new LibcException("open", $"{_name}/{name}", LibcException.NotFound);
        var status = Read(source, "", Libc.EmptyPath)!.Value;
        FileName temporary = ".discobot-copy";
        target.Remove(temporary);
        using (var made = target.CreateFile(temporary, permissions, owner))
        {
            FileContent.Copy(source, made, cancellationToken);
            ExtendedAttributes.Copy(source, made, withCapabilities);
            File.SetLastWriteTimeUtc(made, status.Modified.UtcDateTime);
        }

        target.Rename(temporary, target, name);
    }
}
