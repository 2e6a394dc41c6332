namespace Discobot.Infrastructure.Native.Files;

/// <summary>Makes a directory tree the same as another: what the other lacks or has differently goes, then the copy brings it.</summary>
/// <param name="copy">Copies what is missing.</param>
internal sealed class TreeMirror(TreeCopy copy)
{
    /// <summary>Changes only <paramref name="target"/>, which must be nobody's work yet.</summary>
    public void Run(DirectoryHandle source, DirectoryHandle target, CancellationToken cancellationToken)
    {
        RemoveDifferent(source, target, cancellationToken);
        copy.Run(source, target, cancellationToken);
    }

    private static void RemoveDifferent(DirectoryHandle source, DirectoryHandle target, CancellationToken cancellationToken)
    {
        foreach (var name in target.Entries())
        {
            cancellationToken.ThrowIfCancellationRequested();
            var there = target.Status(name);
            var here = source.Status(name);
            if (here is { Kind: FileKind.Directory } && there is { Kind: FileKind.Directory })
            {
                using var from = source.OpenChild(name);
                using var to = target.OpenChild(name);
                if (from is not null && to is not null)
                    RemoveDifferent(from, to, cancellationToken);
            }
            else if (here is null || there is null || !Same(source, target, name, here.Value, there.Value))
            {
                target.RemoveTree(name, cancellationToken);
            }
        }
    }

    // As rsync tells: size and time of change. A link by where it leads.
    private static bool Same(DirectoryHandle source, DirectoryHandle target, FileName name, FileStatus here, FileStatus there)
        => here.Kind == there.Kind && here.Permissions == there.Permissions && here.Kind switch
        {
            FileKind.Regular => here.Size == there.Size && here.Modified == there.Modified,
            FileKind.Symlink => source.ReadLink(name).Bytes.SequenceEqual(target.ReadLink(name).Bytes),
            _ => false,
        };
}
