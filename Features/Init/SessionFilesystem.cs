using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Mounts the session's home over the base home. What the session writes is in its upper directory on the volume and is there again
/// after a restart. Nothing of a session is ever deleted here: when mounting fails, the start fails.
/// </summary>
internal sealed class SessionFilesystem(Container container)
{
    public const string OverlayDirectory = ".overlayfs";

    public async Task RunAsync(CancellationToken cancellationToken)
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
            return;
        }
        else if (agentFs.HasDatabase)
        {
            await agentFs.MigrateAsync(cancellationToken);
        }

        MountOverlay(container, container.Session.SessionId, container.Paths.Home);
    }

    /// <summary>Mounts a session's overlay, making its directories when they are missing.</summary>
    /// <param name="container">Whose volume it is.</param>
    /// <param name="name">The directory below <c>.overlayfs</c>.</param>
    /// <param name="target">Where it is mounted.</param>
    public static void MountOverlay(Container container, string name, string target)
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
        var directory = Path.Combine(container.Paths.Data, OverlayDirectory, name);
        try
        {
            Mounts.Overlay(Path.Combine(container.Paths.Data, BaseHome.Name), Path.Combine(directory, "upper"), Path.Combine(directory, "work"), target);
        }
        catch (LibcException error)
        {
            throw new StartupException($"{error.Message}. {Advice(error.Number)} Nothing of the session was changed.");
        }
    }

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
            + "--cap-add SYS_ADMIN --security-opt apparmor=unconfined --security-opt seccomp=unconfined.",
        LibcException.Invalid => "/.data must be a volume on a file system that OverlayFS can write to (ext4, xfs, btrfs): mount one with -v NAME:/.data.",
        _ => "The kernel's log (dmesg) has the details.",
    };
}
