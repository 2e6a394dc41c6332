using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

/// <summary>Makes <c>/workspace</c> lead to the workspace in the session's home: by a link, or where the root is read-only by a mount.</summary>
internal sealed class WorkspaceLink(Container container)
{
    private const string Target = ContainerPaths.WorkspaceSeen;

    public Task RunAsync(CancellationToken cancellationToken)
    {
        var path = container.Paths.WorkspaceLink;
        using var parent = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(path)!);
        var name = Path.GetFileName(path);
        if (parent.Status(name) is { Kind: FileKind.Symlink } && parent.ReadLink(name).ToString() == Target)
            return Task.CompletedTask;
        try
        {
            parent.Remove(name);
            parent.CreateSymlink(name, Target);
        }
        catch (LibcException error) when (error.Number == LibcException.NotEmpty)
        {
            throw new StartupException($"{path} is a directory with something in it, so it cannot become a link to {Target}: empty it in the image");
        }
        catch (LibcException error) when (error.Number == LibcException.ReadOnly)
        {
            Show(parent, name);
        }

        return Task.CompletedTask;
    }

    private void Show(DirectoryHandle parent, string name)
    {
        const string Remedy = $"make it a link to {Target} in the image (RUN rm -rf /workspace && ln -s {Target} /workspace)";
        if (parent.Status(name) is not { Kind: FileKind.Directory })
            throw new StartupException($"the root is read-only and {container.Paths.WorkspaceLink} is no directory of it: {Remedy}");
        try
        {
            using var home = DirectoryHandle.OpenTrusted(container.Paths.Home);
            using var workspace = MountPoint.Open(home, Path.GetFileName(container.Paths.Workspace));
            using var place = MountPoint.Open(parent, name);
            // With what is mounted below it, as a link would show it.
            Mounts.BindTreeTo(workspace, place);
        }
        catch (IOException error)
        {
            throw new StartupException($"the root is read-only, and {container.Paths.WorkspaceLink} cannot be mounted over ({error.Message}): {Remedy}");
        }
    }

    /// <summary>Whether it leads to the workspace.</summary>
    public static Finding Check(SeenContainer seen)
    {
        var target = new DirectoryInfo(seen.Paths.WorkspaceLink).LinkTarget;
        var mounted = Mounts.TypeAt(seen.Paths.WorkspaceLink);
        return SeenContainer.Step("workspace link", target == Target || mounted is not null,
            $"{seen.Paths.WorkspaceLink} {(target is not null ? $"leads to {target}" : mounted is null ? "is no link" : "is a mount")}", Doctor.Restart);
    }
}
