using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Discobot.Infrastructure.Native;

internal sealed partial class DirectoryHandle
{
    /// <summary>The names in this directory, without <c>.</c> and <c>..</c>, as they were while it was read.</summary>
    public List<FileName> Entries()
    {
        if (Libc.Seek(_handle, 0, 0) < 0)
            throw LibcException.Last("lseek", _name);
        var names = new List<FileName>();
        var buffer = new byte[32 * 1024];
        for (; ; )
        {
            var length = (int)Libc.GetDirectoryEntries(_handle, buffer, (nuint)buffer.Length);
            if (length < 0)
                throw LibcException.Last("getdents64", _name);
            if (length == 0)
                return names;
            for (var at = 0; at < length; at += BinaryPrimitives.ReadUInt16LittleEndian(buffer.AsSpan(at + 16)))
                AddName(names, buffer.AsSpan(at + 19));
        }
    }

    public void Rename(FileName from, DirectoryHandle target, FileName to)
    {
        if (Libc.RenameAt(_handle, from.Bytes, target._handle, to.Bytes) != 0)
            throw LibcException.Last("rename", $"{_name}/{from} to {target._name}/{to}");
    }

    public void CreateSymlink(FileName name, FileName target)
    {
        if (Libc.SymlinkAt(target.Bytes, _handle, name.Bytes) != 0)
            throw LibcException.Last("symlink", $"{_name}/{name}");
    }

    public FileName ReadLink(FileName name)
    {
        var buffer = new byte[4097];
        var length = (int)Libc.ReadLinkAt(_handle, name.Bytes, buffer, 4096);
        return length < 0 ? throw LibcException.Last("readlink", $"{_name}/{name}") : new FileName(buffer[..(length + 1)]);
    }

    /// <summary>Removes a file, a link or an empty directory. Nothing happens when there is none.</summary>
    public void Remove(FileName name)
    {
        var flags = Status(name)?.Kind == FileKind.Directory ? Libc.RemoveDirectory : 0;
        if (Libc.UnlinkAt(_handle, name.Bytes, flags) == 0)
            return;
        var error = LibcException.Last("remove", $"{_name}/{name}");
        if (error.Number != LibcException.NotFound)
            throw error;
    }

    /// <summary>Removes an entry and everything below it, stopping at links and at other file systems.</summary>
    public void RemoveTree(FileName name, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (Status(name) is not { } status)
            return;
        if (status.Kind == FileKind.Directory && OpenChild(name) is { } directory)
        {
            using (directory)
            {
                if (directory.Status().Device != Status().Device)
                    throw new IOException($"{directory} is mounted: not removed");
                foreach (var entry in directory.Entries())
                    directory.RemoveTree(entry, cancellationToken);
            }
        }

        Remove(name);
    }

    /// <summary>Gives everything below this directory, and last itself, to somebody; links themselves, never their targets, and no file
    /// that has a second name, which may be somewhere else. Whose a directory is therefore tells whether the walk came to its end.</summary>
    public void SetOwnerOfTree(Owner owner, CancellationToken cancellationToken)
    {
        foreach (var name in Entries())
        {
            cancellationToken.ThrowIfCancellationRequested();
            var status = Status(name);
            if (status?.Kind == FileKind.Directory && OpenChild(name) is { } directory)
            {
                using (directory)
                    directory.SetOwnerOfTree(owner, cancellationToken);
            }
            else if (status is { Kind: not FileKind.Directory, Links: 1 })
            {
                SetOwner(name, owner);
            }
        }

        SetOwner(owner);
    }

    private static void AddName(List<FileName> names, ReadOnlySpan<byte> record)
    {
        var name = record[..(record.IndexOf((byte)0) + 1)];
        if (!name.SequenceEqual(".\0"u8) && !name.SequenceEqual("..\0"u8))
            names.Add(new FileName(name.ToArray()));
    }
}
