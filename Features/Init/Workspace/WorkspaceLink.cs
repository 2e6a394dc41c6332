using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

/// <summary>Makes <c>/workspace</c> lead to the workspace in the session's home.</summary>
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
        }
        catch (LibcException error) when (error.Number == LibcException.NotEmpty)
        {
            throw new StartupException($"{path} is a directory with something in it, so it cannot become a link to {Target}: empty it in the image");
        }

        parent.CreateSymlink(name, Target);
        return Task.CompletedTask;
    }

    /// <summary>Whether it is a link.</summary>
    public static Finding Check(SeenContainer seen)
        => SeenContainer.Step("workspace link", new DirectoryInfo(seen.Paths.WorkspaceLink).LinkTarget is not null, $"{seen.Paths.WorkspaceLink} leads to the workspace",
            "empty /workspace in the image");
}
