using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// A session's home as a plain directory on the volume, a copy of the base home: for containers that may not mount anything. What later
/// images add to the home does not come there, since what is missing may be what the agent has removed.
/// </summary>
internal sealed class PlainHome(Container container)
{
    private const string Directory = ".plain";
    private const string OfTheImage = ".image";

    /// <summary>Where it is on the volume.</summary>
    public string Path => System.IO.Path.Combine(container.Paths.Data, Directory, container.Session.SessionId);

    /// <summary>Whether the session has one already.</summary>
    public bool Exists => System.IO.Directory.Exists(Path);

    /// <summary>Where a home of the image is: beside its place, when a link stands there since an earlier start of the same container.</summary>
    public static string ImageOf(string home) => new FileInfo(home).LinkTarget is not null ? home + OfTheImage : home;

    /// <summary>Makes it when it is missing, and puts it in the place of the home.</summary>
    public void Use(CancellationToken cancellationToken)
    {
        var (id, root) = (container.Session.SessionId, new Owner(Libc.GetUser(), Libc.GetUserGroup()));
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        using var all = data.OpenOrCreate(Directory, 0x1C9, root);
        if (all.Status(id) is null)
        {
            var staging = id + ".staging";
            all.RemoveTree(staging, cancellationToken);
            using (var home = data.OpenChild(BaseHome.Name)!)
            using (var copy = all.CreateChild(staging, 0x1ED, container.Agent.Owner))
                new TreeCopy(container.Agent.Owner) { Capabilities = true }.Run(home, copy, cancellationToken);
            all.Rename(staging, all, id);
        }

        using (var own = all.OpenChild(id)!)
            new AgentOwner(container).Adopt(own, own.Status().Owner, cancellationToken);
        Place(container.Paths.Home, cancellationToken);
        if (AgentHome.Own(container) is { } other)
            Place(other, cancellationToken);
    }

    // A link needs no right to mount. What is mounted below the image's home is then reached by links of their own.
    private void Place(string home, CancellationToken cancellationToken)
    {
        using var parent = DirectoryHandle.OpenTrusted(System.IO.Path.GetDirectoryName(home)!);
        var name = System.IO.Path.GetFileName(home);
        var seen = container.Paths.Root == "/" ? Path : Path[container.Paths.Root.Length..];
        if (parent.Status(name) is { Kind: FileKind.Symlink })
            parent.Remove(name);
        else
            PutAside(parent, name, cancellationToken);
        parent.CreateSymlink(name, seen);
        using var plain = DirectoryHandle.OpenTrusted(Path);
        foreach (var mounted in Mounts.Below(home + OfTheImage))
            Lead(plain, mounted[(home.Length + OfTheImage.Length + 1)..], mounted);
    }

    // A directory of an image's layer cannot be renamed where the engine's own overlay does not allow it: it is on the volume already, and
    // goes from this container.
    private static void PutAside(DirectoryHandle parent, string name, CancellationToken cancellationToken)
    {
        try
        {
            parent.Rename(name, parent, name + OfTheImage);
        }
        catch (LibcException error) when (error.Number == LibcException.CrossDevice)
        {
            if (Mounts.Below($"{parent}/{name}") is [var mounted, ..])
                throw new StartupException($"{mounted} is mounted below the home, which can be a plain directory then only where something can be mounted: mount it elsewhere");
            parent.RemoveTree(name, cancellationToken);
        }
        catch (LibcException error) when (error.Number == LibcException.ReadOnly)
        {
            throw new StartupException($"the root file system is read-only and nothing can be mounted, so that {parent}/{name} cannot be the session's home: "
                + "give the container a writable root, or the right to mount (--cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined)");
        }
    }

    private void Lead(DirectoryHandle plain, string path, string mounted)
    {
        try
        {
            var name = System.IO.Path.GetFileName(path);
            using var parent = System.IO.Path.GetDirectoryName(path) is { Length: > 0 } above ? plain.OpenOrCreate(above, 0x1ED, container.Agent.Owner) : plain.TryOpen("");
            parent!.Remove(name);
            parent.CreateSymlink(name, mounted);
        }
        catch (IOException error)
        {
            container.Log.Warning($"what is mounted at {mounted} is not to be seen in the home: {error.Message}");
        }
    }
}
