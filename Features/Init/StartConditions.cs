using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// What must be so before the start begins, since a step in the middle would fail of it, after minutes perhaps: each rule that is broken with
/// what to do, all of them at once.
/// </summary>
/// <param name="paths">Where things are.</param>
internal sealed class StartConditions(ContainerPaths paths)
{
    // capabilities(7). The first belongs to whoever changes owners, the last to whoever becomes another user.
    private static readonly (int Number, string Name)[] Needed =
        [(0, "CHOWN"), (1, "DAC_OVERRIDE"), (3, "FOWNER"), (5, "KILL"), (6, "SETGID"), (7, "SETUID")];

    // Where egress is enforced only: without it nothing can be taken from the agent for good. Whoever adds the others is told of it at once.
    private static readonly (int Number, string Name)[] NeededToEnforce = [(Capabilities.SetPcap, "SETPCAP")];

    /// <summary>The rules that are broken.</summary>
    public IEnumerable<string> Broken()
    {
        if (Libc.GetUser() != 0)
        {
            yield return $"the init must start as root, not as user {Libc.GetUser()}: take USER out of the image, or run the container with --user 0; "
                + "the agent runs as AGENT_USER all the same";
            yield break; // Whoever is not root has no capabilities either, and may not see the rest.
        }

        if (Needed.Any(c => !Capabilities.Has(c.Number)))
        {
            var missing = Needed.Concat(NeededToEnforce).Where(c => !Capabilities.Has(c.Number)).Select(c => "--cap-add " + c.Name);
            yield return $"capabilities are missing that every container of Docker's has: add {string.Join(' ', missing)}";
        }

        foreach (var rule in BrokenOfPaths())
            yield return rule;
    }

    private IEnumerable<string> BrokenOfPaths()
    {
        if (LinkOn(paths.Home) is { } link)
            yield return $"{link} is a link to {new FileInfo(link).LinkTarget}: the session's home is mounted below it and must not be led elsewhere; "
                + "make it a directory in the image";
        else if (Mounts.TypeAt(paths.Home) is { } mounted)
            yield return $"{paths.Home} is a mount ({mounted}): the image's home cannot be read, and the session's would hide it; mount the volume at {paths.Data}";

        var workspace = paths.WorkspaceLink;
        if (Mounts.TypeAt(workspace) is not null)
            yield return $"{workspace} is a mount, where the workspace of the session is to be: mount your repository at /.workspace "
                + "(-v DIRECTORY:/.workspace:ro -e WORKSPACE_PATH=/.workspace)";
        else if (new DirectoryInfo(workspace) is { Exists: true, LinkTarget: null } && Directory.EnumerateFileSystemEntries(workspace).Any())
            yield return $"{workspace} is a directory with something in it, so it cannot become a link to {ContainerPaths.WorkspaceSeen}: empty it in the image";
        else if (!Path.Exists(workspace) && !Libc.MayWriteInto(Path.GetDirectoryName(workspace)!))
            yield return $"the root is read-only and has no {workspace}: make it in the image (RUN mkdir /workspace), and the workspace is mounted there";
    }

    private string? LinkOn(string path)
    {
        // The home itself may have become one at an earlier start: where nothing can be mounted.
        for (var at = Path.GetDirectoryName(path)!; at.Length > paths.Root.Length; at = Path.GetDirectoryName(at)!)
        {
            if (new FileInfo(at).LinkTarget is not null)
                return at;
        }

        return null;
    }
}
