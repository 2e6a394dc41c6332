using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// Mounts the session's home over the base home. What the session writes is in its upper directory on the volume and is there again
/// after a restart. Nothing of a session is ever deleted here: when mounting fails, the start fails; only a session that has no work yet
/// begins in a <see cref="PlainHome"/> instead.
/// </summary>
internal sealed class SessionFilesystem(Container container)
{
    public const string OverlayDirectory = ".overlayfs";

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var prepared = await new VolumeLocks(container).ForSetupAsync(cancellationToken);
        using var below = HomeMounts.Hold(container.Paths.Home, container.Log);
        var plain = new PlainHome(container);
        if (plain.Exists || container.Session.Filesystem == FilesystemChoice.Plain)
        {
            UsePlain(plain, cancellationToken);
            return;
        }

        if (await TryMountAsync(cancellationToken) is { } failure)
        {
            // Nothing is lost by it: this session has no work yet.
            container.Log.Warning($"{failure} So the session's home is a plain directory below /.data (DISCOBOT_FILESYSTEM=plain says so, and this line goes).");
            UsePlain(plain, cancellationToken);
            return;
        }

        using (var home = DirectoryHandle.OpenTrusted(container.Paths.Home))
            below.ShowAgain(home, container.Agent.Owner);
        if (AgentHome.Own(container) is { } own)
            AgentHome.Show(container, own);
    }

    // What hinders the mount, when the session may begin without.
    private async Task<string?> TryMountAsync(CancellationToken cancellationToken)
    {
        var agentFs = new AgentFsSession(container);
        var wantsAgentFs = container.Session.Filesystem == FilesystemChoice.AgentFs;
        var overlay = Path.Combine(container.Paths.Data, OverlayDirectory, container.Session.SessionId);
        if (Directory.Exists(Path.Combine(overlay, "upper")))
        {
            WarnOfOther(wantsAgentFs, agentFs.HasDatabase && !File.Exists(Path.Combine(overlay, AgentFsSession.Moved)));
        }
        else if (wantsAgentFs)
        {
            await agentFs.MountAsync(cancellationToken);
            return null;
        }
        else if (agentFs.HasDatabase)
        {
            await agentFs.MigrateAsync(cancellationToken);
        }

        var failure = MountOverlay(container, container.Session.SessionId, container.Paths.Home, cancellationToken);
        if (failure is null)
            return null;
        if (container.Session.Filesystem != FilesystemChoice.Auto || HasWork(overlay))
            throw new StartupException($"{failure} Nothing of the session was changed.");
        using var all = DirectoryHandle.OpenTrusted(Path.Combine(container.Paths.Data, OverlayDirectory));
        all.RemoveTree(container.Session.SessionId, cancellationToken);
        return failure;
    }

    private void UsePlain(PlainHome plain, CancellationToken cancellationToken)
    {
        if (!plain.Exists && (HasWork(Path.Combine(container.Paths.Data, OverlayDirectory, container.Session.SessionId)) || new AgentFsSession(container).HasDatabase))
            throw new StartupException("DISCOBOT_FILESYSTEM=plain, but this session has its work in OverlayFS or AgentFS already: start it without, or with another SESSION_ID");
        if (container.Session.Filesystem is FilesystemChoice.Overlay or FilesystemChoice.AgentFs)
            container.Log.Warning("this session has its work in a plain directory already: that is used, whatever DISCOBOT_FILESYSTEM says");
        plain.Use(cancellationToken);
    }

    private static bool HasWork(string overlay)
        => Directory.Exists(Path.Combine(overlay, "upper")) && Directory.EnumerateFileSystemEntries(Path.Combine(overlay, "upper")).Any();

    /// <summary>Mounts a session's overlay, making its directories when they are missing.</summary>
    /// <param name="container">Whose volume it is.</param>
    /// <param name="name">The directory below <c>.overlayfs</c>.</param>
    /// <param name="target">Where it is mounted.</param>
    /// <param name="cancellationToken">Ends giving it to an agent with another number.</param>
    /// <returns>What hinders it; null when it is mounted.</returns>
    public static string? MountOverlay(Container container, string name, string target, CancellationToken cancellationToken)
    {
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        var self = new Owner(Libc.GetUser(), Libc.GetUserGroup());

        // The agent must not reach its own upper directory: changing it below the mount is undefined.
        using var top = data.OpenOrCreate(OverlayDirectory, 0x1C0, self);
        top.SetOwner(self);
        top.SetPermissions(0x1C0);
        using var session = top.OpenOrCreate(name, 0x1ED, container.Agent.Owner);
        using var upper = session.OpenOrCreate("upper", 0x1ED, container.Agent.Owner);
        using var work = session.OpenOrCreate("work", 0x1ED, container.Agent.Owner);
        new AgentOwner(container).Adopt(session, session.Status().Owner, cancellationToken);
        if (Options(work) is not { } options)
            return $"the file system of {container.Paths.Data} keeps no extended attributes, without which OverlayFS fails sooner or later.";
        var directory = Path.Combine(container.Paths.Data, OverlayDirectory, name);
        var spare = new SpareInodes(data, container.Log);
        void Mount() => Mounts.Overlay(Path.Combine(container.Paths.Data, BaseHome.Name), Path.Combine(directory, "upper"), Path.Combine(directory, "work"), target, options);
        try
        {
            try
            {
                Mount();
            }
            catch (LibcException error) when (error.Number == LibcException.NoSpace && spare.Release())
            {
                Mount();
                container.Log.Warning($"{container.Paths.Data} has no inode left: only what is removed makes room for another file");
            }

            spare.Keep();
            return null;
        }
        catch (LibcException error)
        {
            return $"{error.Message}. {Advice(error.Number)}";
        }
    }

    // What of the base home is renamed as a directory (git mv, npm, conda) is then marked in the upper directory as having moved; without,
    // rename(2) says EXDEV. The marks are followed by every kernel since 4.10 whatever the option says, so going back to an older version of
    // this program loses nothing. In a user namespace only attributes of users can be set: such an overlay has no marks, and mv(1) copies.
    // One without either would be mounted too, and fail with EIO at the first directory that is made anew.
    private static string? Options(DirectoryHandle work)
        => work.Keeps("trusted.overlay.discobot") ? "redirect_dir=on" : work.Keeps("user.overlay.discobot") ? "userxattr" : null;

    // Work in OverlayFS is never replaced by what a database holds: which of them is newer nobody can tell.
    private void WarnOfOther(bool wantsAgentFs, bool hasOwnDatabase)
    {
        if (wantsAgentFs)
            container.Log.Warning("DISCOBOT_FILESYSTEM=agentfs, but this session has its work in OverlayFS already: OverlayFS is used");
        if (hasOwnDatabase)
            container.Log.Warning("this session has its work in OverlayFS and an AgentFS database that was not moved there: OverlayFS is used, the database stays as it is");
    }

    private static string Advice(int number) => number switch
    {
        LibcException.NotPermitted or LibcException.AccessDenied => "Mounting needs CAP_SYS_ADMIN: run the container with --privileged, or with "
            + "--cap-add SYS_ADMIN --security-opt apparmor=unconfined --security-opt seccomp=unconfined; or do without by DISCOBOT_FILESYSTEM=plain.",
        LibcException.Invalid => "/.data must be a volume on a file system that OverlayFS can write to (ext4, xfs, btrfs): mount one with -v NAME:/.data, or do without by DISCOBOT_FILESYSTEM=plain.",
        LibcException.NoSpace => "/.data has no room, or no inode (df -i), left: remove something of it, or give it more.",
        _ => "The kernel's log (dmesg) has the details.",
    };

    /// <summary>Whether the home is the session's: a mount, or a link to a plain directory.</summary>
    public static Finding Check(SeenContainer seen)
    {
        var home = Mounts.TypeAt(seen.Paths.Home) ?? new FileInfo(seen.Paths.Home).LinkTarget;
        return SeenContainer.Step("filesystem", home is not null, $"{seen.Paths.Home}: {home ?? "not mounted"}", "run the container with --privileged and a volume at /.data");
    }
}
