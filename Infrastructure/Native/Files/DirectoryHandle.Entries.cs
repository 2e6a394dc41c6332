using System.Buffers;

namespace Discobot.Infrastructure.Native.Files;

internal sealed partial class DirectoryHandle
{
    // A tree may be deeper than a stack, and than there are descriptors: what is below so many levels is brought up before it is removed.
    private const int DeepestRemoved = 32;

    /// <summary>The names in this directory, without <c>.</c> and <c>..</c>, as they were while it was read.</summary>
    /// <param name="most">Where somebody else fills it: it is read no further when there are so many.</param>
    public List<FileName> Entries(int most = int.MaxValue) => List(most).Names();

    /// <summary>This directory as it is while it is read.</summary>
    public DirectoryListing List(int most = int.MaxValue)
    {
        if (Libc.Seek(_handle, 0, 0) < 0)
            throw LibcException.Last("lseek", _name);
        var listing = new DirectoryListing();
        var room = ArrayPool<byte>.Shared.Rent(DirectoryListing.Room);
        try
        {
            for (; ; )
            {
                var length = (int)Libc.GetDirectoryEntries(_handle, room, (nuint)room.Length);
                if (length < 0)
                    throw LibcException.Last("getdents64", _name);
                if (length == 0 || listing.Count >= most)
                    return listing;
                listing.Add(room.AsSpan(0, length));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(room);
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

    /// <summary>Gives a file a second name; false where that is impossible: another file system, too many links, or it is gone.</summary>
    public bool TryLink(FileName name, DirectoryHandle target, FileName second)
        => Libc.LinkAt(_handle, name.Bytes, target._handle, second.Bytes, 0) == 0;

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

    /// <summary>Removes an entry and everything below it, however deep, stopping at links and at other file systems.</summary>
    public void RemoveTree(FileName name, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (Status(name) is not { } status)
            return;
        if (status.Kind == FileKind.Directory && OpenToRemove(name) is { } top)
        {
            using (top)
            {
                while (top.Empty(top, DeepestRemoved, cancellationToken))
                {
                }
            }
        }

        Remove(name);
    }

    // True where something was brought up into the top, which has to be emptied again then.
    private bool Empty(DirectoryHandle top, int levels, CancellationToken cancellationToken)
    {
        var isAgain = false;
        foreach (var name in Entries())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Status(name) is { Kind: FileKind.Directory } && OpenToRemove(name) is { } directory)
            {
                using (directory)
                {
                    if (levels == 0)
                    {
                        Rename(name, top, $".discobot-{Guid.NewGuid():N}");
                        isAgain = true;
                        continue;
                    }

                    isAgain |= directory.Empty(top, levels - 1, cancellationToken);
                }
            }

            Remove(name);
        }

        return isAgain;
    }

    private DirectoryHandle? OpenToRemove(FileName name)
    {
        var directory = OpenChild(name);
        if (directory is null || directory.Status().Device == Status().Device)
            return directory;
        using (directory)
            throw new IOException($"{directory} is mounted: not removed");
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

    /// <summary>Gives what is one user's, or one group's, below this directory to another, and last this directory itself; what is anybody
    /// else's stays. The owner of this directory therefore tells whether the walk came to its end.</summary>
    public void ChangeOwnerOfTree(Owner from, Owner to, CancellationToken cancellationToken)
    {
        foreach (var name in Entries())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Status(name) is not { } status)
                continue;
            if (status.Kind == FileKind.Directory && OpenChild(name) is { } directory)
            {
                using (directory)
                    directory.ChangeOwnerOfTree(from, to, cancellationToken);
            }
            else if (Changed(status.Owner, from, to) is var owner && owner != status.Owner)
            {
                SetOwner(name, owner);
            }
        }

        var own = Status().Owner;
        if (Changed(own, from, to) != own)
            SetOwner(Changed(own, from, to));
    }

    private static Owner Changed(Owner owner, Owner from, Owner to)
        => new(owner.User == from.User ? to.User : owner.User, owner.Group == from.Group ? to.Group : owner.Group);
}
