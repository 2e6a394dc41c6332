namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// Copies a directory tree without following links in either tree. What exists in the target stays as it is, so a copy that was
/// interrupted is completed by running it again. Hard links, extended attributes and times survive. FIFOs, sockets and devices are left
/// out: reading them would block for ever. What is no data in a file stays a hole.
/// </summary>
/// <param name="owner">Who owns what is copied, but for the group of what is this user's already; null keeps each entry's owner.</param>
internal sealed class TreeCopy(Owner? owner)
{
    private const uint ReadWriteExecute = 0x1FF;
    private const uint WithSetBits = 0xFFF;
    private const uint Directories = 0x7FF; // setgid and sticky mean something for them

    // Where the first name of a file is, for those that have several.
    private readonly Dictionary<(ulong Device, ulong Inode), FileName[]> _first = [];
    private readonly List<FileName> _path = [];
    private DirectoryHandle? _top;

    /// <summary>Whether mounts in the source are left out, as by <c>cp -x</c>: their mount points are copied, empty.</summary>
    public bool OneFileSystem { get; init; }

    /// <summary>Whether programs keep their capabilities: only from a source that is trusted.</summary>
    public bool Capabilities { get; init; }

    /// <summary>Directories of the source that are left out, whatever path leads to them: the copy itself, which would go into itself.</summary>
    public IReadOnlySet<(ulong Device, ulong Inode)> Except { get; init; } = new HashSet<(ulong Device, ulong Inode)>();

    /// <summary>Files, links and directories made.</summary>
    public int Copied { get; private set; }

    /// <summary>Entries that are no files, links or directories.</summary>
    public int Skipped { get; private set; }

    /// <summary>Copies everything in <paramref name="source"/> that <paramref name="target"/> lacks.</summary>
    public void Run(DirectoryHandle source, DirectoryHandle target, CancellationToken cancellationToken)
    {
        _first.Clear();
        _top = target;
        Copy(source, target, cancellationToken);
    }

    // Two listings say what is missing: nothing that is there already is looked at, so that a hundred thousand files cost no time.
    private void Copy(DirectoryHandle source, DirectoryHandle target, CancellationToken cancellationToken)
    {
        var mount = source.Status().Mount;
        var (here, there) = (source.List(), target.List());
        for (var entry = 0; entry < here.Count; entry++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var existing = there.Find(here, entry);
            if (existing < 0)
                CopyMissing(source, mount, here.Name(entry), target, cancellationToken);
            else if (here.Kind(entry) is null or FileKind.Directory && there.Kind(existing) is null or FileKind.Directory)
                CopyBelow(source, mount, here.Name(entry), target, cancellationToken);
        }
    }

    private void CopyMissing(DirectoryHandle source, ulong mount, FileName name, DirectoryHandle target, CancellationToken cancellationToken)
    {
        if (source.Status(name) is not { } status)
            return;
        switch (status.Kind)
        {
            case FileKind.Directory when Except.Contains(status.Identity):
                break;
            case FileKind.Directory:
                CopyDirectory(source, mount, name, status, target, cancellationToken);
                break;
            case FileKind.Regular when OneFileSystem && status.Mount != mount:
                break;
            case FileKind.Regular:
                CopyFile(source, name, status, target, cancellationToken);
                Copied++;
                break;
            case FileKind.Symlink:
                target.CreateSymlink(name, source.ReadLink(name));
                target.SetOwner(name, OwnerOf(status));
                Copied++;
                break;
            default:
                Skipped++;
                break;
        }
    }

    private void CopyFile(DirectoryHandle source, FileName name, FileStatus status, DirectoryHandle target, CancellationToken cancellationToken)
    {
        if (status.Links > 1 && _first.TryGetValue(status.Identity, out var first) && TryLink(first, target, name))
            return;

        // What another user's program could do by its set-user-ID is not what it does as this one's.
        var permissions = status.Permissions & (owner?.User == status.Owner.User ? WithSetBits : ReadWriteExecute);
        source.CopyFile(name, target, OwnerOf(status), permissions, Capabilities, cancellationToken);
        if (status.Links > 1)
            _first[status.Identity] = [.. _path, name];
    }

    // From the top, name by name: the target may be somebody's who puts links into it meanwhile.
    private bool TryLink(FileName[] first, DirectoryHandle target, FileName name)
    {
        var directory = _top!;
        try
        {
            foreach (var part in first[..^1])
            {
                var next = directory.OpenChild(part);
                if (directory != _top)
                    directory.Dispose();
                if (next is null)
                    return false;
                directory = next;
            }

            return directory.TryLink(first[^1], target, name);
        }
        finally
        {
            if (directory != _top)
                directory.Dispose();
        }
    }

    private void CopyDirectory(DirectoryHandle source, ulong mount, FileName name, FileStatus status, DirectoryHandle target, CancellationToken cancellationToken)
    {
        using (var from = source.OpenChild(name))
        using (var made = target.CreateChild(name, status.Permissions & Directories, OwnerOf(status)))
            from?.CopyAttributes(made, Capabilities);
        Copied++;
        CopyBelow(source, mount, name, target, cancellationToken);
    }

    // Where the file system does not tell kinds, either may be something else.
    private void CopyBelow(DirectoryHandle source, ulong mount, FileName name, DirectoryHandle target, CancellationToken cancellationToken)
    {
        using var from = source.TryOpenDirectory(name);
        using var to = target.TryOpenDirectory(name);
        if (from is null || to is null)
            return;
        var status = from.Status();
        if ((OneFileSystem && status.Mount != mount) || Except.Contains(status.Identity))
            return;
        _path.Add(name);
        Copy(from, to, cancellationToken);
        _path.RemoveAt(_path.Count - 1);
    }

    private Owner OwnerOf(FileStatus status) => owner is not { } given || given.User == status.Owner.User ? status.Owner : given;
}
