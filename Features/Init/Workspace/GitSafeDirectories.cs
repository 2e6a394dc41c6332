using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

/// <summary>
/// Lets git work in repositories that belong to somebody else (root clones, the agent works; the mounted repository has the owner it
/// has on the host). In the system's file, as both users need it. The file is written directly: git may not be installed.
/// </summary>
internal sealed class GitSafeDirectories(Container container)
{
    private static readonly string[] Always =
    [
        "/.workspace", "/.workspace/.git", "/.data/discobot/workspace", "/.data/discobot/workspace.staging",
        "/home/discobot/workspace", "/workspace",
    ];

    public Task RunAsync(CancellationToken cancellationToken)
    {
        var directories = Always.ToList();
        if (container.Session.WorkspacePath is ['/', ..] path)
            directories.InsertRange(0, Spellings(path).Where(d => !directories.Contains(d)));
        ManagedBlock.PutInto(container.Paths.In("/etc/gitconfig"), ["[safe]", .. directories.Select(d => $"\tdirectory = {Quote(d)}")]);
        return Task.CompletedTask;
    }

    // git compares by text, the work tree or the directory .git, as it finds them: without slashes at the end and with links followed.
    private IEnumerable<string> Spellings(string path)
    {
        var written = "/" + string.Join('/', path.Split('/', StringSplitOptions.RemoveEmptyEntries));
        var real = RealPath.Below(container.Paths.Root, written);
        var seen = container.Paths.Root == "/" ? real : real[container.Paths.Root.Length..];
        return new[] { written, written + "/.git", seen, seen + "/.git" }.Distinct();
    }

    // git-config(1), Syntax: a value in double quotes, where backslash and quote are escaped.
    private static string Quote(string value)
        => $"\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    /// <summary>Whether git is told of the workspace.</summary>
    public static Finding Check(SeenContainer seen)
        => SeenContainer.Step("git safe directories", seen.Holds("/etc/gitconfig", ContainerPaths.WorkspaceSeen), seen.Paths.In("/etc/gitconfig"), Doctor.Restart);
}
