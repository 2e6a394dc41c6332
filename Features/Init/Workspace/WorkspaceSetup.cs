using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

/// <summary>
/// Makes the workspace, once per volume: a clone of a repository, a copy of a plain directory, or an empty directory. It grows under
/// another name and is renamed when it is complete.
/// </summary>
internal sealed class WorkspaceSetup(Container container)
{
    private const string Name = "workspace";
    private const string Staging = "workspace.staging";

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var prepared = await new VolumeLocks(container).ForSetupAsync(cancellationToken);
        using var home = DirectoryHandle.OpenTrusted(Path.Combine(container.Paths.Data, BaseHome.Name));
        if (home.Status(Name) is not null)
            return;
        home.RemoveTree(Staging, cancellationToken);
        var source = container.Session.WorkspacePath;
        var staging = Path.Combine(container.Paths.Data, BaseHome.Name, Staging);
        if (source.Length == 0)
            home.CreateChild(Staging, 0x1ED, container.Agent.Owner).Dispose();
        else if (!source.StartsWith('/') || IsRepository(container.Paths.In(source)))
            await new GitClone(container).RunAsync(source.StartsWith('/') ? container.Paths.In(source) : source, staging, cancellationToken);
        else
            CopyPlain(container.Paths.In(source), home, cancellationToken);

        using (var made = home.OpenChild(Staging) ?? throw new StartupException($"{staging} was not made"))
            made.SetOwnerOfTree(container.Agent.Owner, cancellationToken);
        home.Rename(Staging, home, Name);
    }

    // A work tree, a worktree or submodule (whose .git is a file), or a bare repository.
    private static bool IsRepository(string path)
        => Path.Exists(Path.Combine(path, ".git"))
            || (File.Exists(Path.Combine(path, "HEAD")) && Directory.Exists(Path.Combine(path, "objects")) && Directory.Exists(Path.Combine(path, "refs")));

    private void CopyPlain(string source, DirectoryHandle home, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(source))
            throw new StartupException($"WORKSPACE_PATH {source} is neither a git URL nor an existing directory");
        if (container.Session.WorkspaceCommit.Length > 0)
            throw new StartupException($"WORKSPACE_COMMIT is set, but {source} is not a git repository");
        container.Log.Info($"{source} is not a git repository, copying it");
        using var from = DirectoryHandle.OpenTrusted(source);
        RefuseWhatIsNoProject(source, from);
        using var to = home.CreateChild(Staging, 0x1ED, container.Agent.Owner);
        var copy = new TreeCopy(container.Agent.Owner) { Except = LeftOut(source, to) };
        copy.Run(from, to, cancellationToken);
        container.Log.Info($"{copy.Copied} entries copied" + (copy.Skipped > 0 ? $", {copy.Skipped} FIFOs, sockets or devices left out" : ""));
    }

    // The agent would get what is root's and the proxy's, the authority's key among it.
    private void RefuseWhatIsNoProject(string source, DirectoryHandle from)
    {
        var real = RealPath.Below("/", source);
        bool Is(string path) => Libc.StatusOf(path) is { } status && status.Identity == from.Status().Identity;
        var what = Is(container.Paths.Root) ? "is the container's whole root"
            : Is(container.Paths.Data) || Is(container.Paths.Proxy) || real.StartsWith(container.Paths.Proxy + "/", StringComparison.Ordinal)
                ? $"is the volume of {container.Paths.Data}, or the proxy's part of it" : null;
        if (what is not null)
            throw new StartupException($"WORKSPACE_PATH {source} {what}: name the directory of the project");
    }

    // A project may hold the volume (-v $PWD:/.workspace -v $PWD/data:/.data), which has the copy in it, and the proxy's keys.
    private HashSet<(ulong Device, ulong Inode)> LeftOut(string source, DirectoryHandle copy)
    {
        var places = Mounts.OfTheKernelBelow(RealPath.Below("/", source)).Append(container.Paths.Data).Append(container.Paths.Proxy);
        return [.. places.Select(Libc.StatusOf).OfType<FileStatus>().Append(copy.Status()).Select(status => status.Identity)];
    }

    /// <summary>Whether it is there.</summary>
    public static Finding Check(SeenContainer seen) => SeenContainer.Step(Name, Directory.Exists(seen.Paths.Workspace), seen.Paths.Workspace, "check WORKSPACE_PATH");
}
