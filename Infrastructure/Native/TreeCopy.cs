namespace Discobot.Infrastructure.Native;

/// <summary>
/// Copies a directory tree without following links in either tree. What exists in the target stays as it is, so a copy that was
/// interrupted is completed by running it again. FIFOs, sockets and devices are left out: reading them would block for ever.
/// </summary>
/// <param name="owner">Who owns what is copied; null keeps each entry's owner.</param>
internal sealed class TreeCopy(Owner? owner)
{
    /// <summary>Files, links and directories made.</summary>
    public int Copied { get; private set; }

    /// <summary>Entries that are no files, links or directories.</summary>
    public int Skipped { get; private set; }

    /// <summary>Copies everything in <paramref name="source"/> that <paramref name="target"/> lacks.</summary>
    public void Run(DirectoryHandle source, DirectoryHandle target, CancellationToken cancellationToken)
    {
        foreach (var name in source.Entries())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (source.Status(name) is { } status)
                CopyEntry(source, name, status, target, cancellationToken);
        }
    }

    private void CopyEntry(DirectoryHandle source, FileName name, FileStatus status, DirectoryHandle target, CancellationToken cancellationToken)
    {
        var existing = target.Status(name);
        switch (status.Kind)
        {
            case FileKind.Directory:
                if (existing is null or { Kind: FileKind.Directory })
                    CopyDirectory(source, name, status, target, cancellationToken);
                break;
            case FileKind.Regular when existing is null:
                source.CopyFile(name, target, owner ?? status.Owner, cancellationToken);
                Copied++;
                break;
            case FileKind.Symlink when existing is null:
                target.CreateSymlink(name, source.ReadLink(name));
                target.SetOwner(name, owner ?? status.Owner);
                Copied++;
                break;
            case FileKind.Other:
                Skipped++;
                break;
        }
    }

    private void CopyDirectory(DirectoryHandle source, FileName name, FileStatus status, DirectoryHandle target, CancellationToken cancellationToken)
    {
        using var from = source.OpenChild(name);
        if (from is null)
            return;
        var to = target.OpenChild(name);
        if (to is null)
        {
            to = target.CreateChild(name, status.Permissions & 0x3FF, owner ?? status.Owner);
            Copied++;
        }

        using (to)
            Run(from, to, cancellationToken);
    }
}
