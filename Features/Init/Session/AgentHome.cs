using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// The home that <c>/etc/passwd</c> names for the agent, when it is not <c>/home/discobot</c> (<c>AGENT_USER=vscode</c>): it becomes another
/// name of the session's home, so that what is kept there is on the volume.
/// </summary>
internal static class AgentHome
{
    /// <summary>The home of its own; null when there is none to be kept: a directory of the system, or a mount, which keeps itself.</summary>
    public static string? Own(Container container)
    {
        var path = container.Paths.In(Path.TrimEndingDirectorySeparator(container.Agent.Home));
        if (container.Agent.Home is not ['/', _, ..] || (path + "/").StartsWith(container.Paths.Home + "/", StringComparison.Ordinal) || Mounts.TypeAt(path) is not null
            || new[] { container.Paths.Home, container.Paths.Data, container.Paths.WorkspaceLink }.Any(p => (p + "/").StartsWith(path + "/", StringComparison.Ordinal)))
            return null;
        return Libc.StatusOf(path) is { Kind: FileKind.Directory } status && status.Owner.User == container.Agent.User ? path : null;
    }

    /// <summary>Shows the session's home there.</summary>
    public static void Show(Container container, string own)
    {
        using var below = HomeMounts.Hold(own, container.Log);
        using (var session = DirectoryHandle.OpenTrusted(container.Paths.Home))
        using (var target = DirectoryHandle.OpenTrusted(own))
            Mounts.BindTo(session, target);
        using var shown = DirectoryHandle.OpenTrusted(own);
        below.ShowAgain(shown, container.Agent.Owner);
        container.Log.Info($"{own} is the session's home as well");
    }
}
