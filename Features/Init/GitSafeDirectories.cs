namespace Discobot.Features.Init;

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
        if (container.Session.WorkspacePath is ['/', ..] path && !directories.Contains(path))
            directories.Insert(0, path);
        ManagedBlock.PutInto(container.Paths.In("/etc/gitconfig"), ["[safe]", .. directories.Select(d => $"\tdirectory = {Quote(d)}")]);
        return Task.CompletedTask;
    }

    // git-config(1), Syntax: a value in double quotes, where backslash and quote are escaped.
    private static string Quote(string value)
        => $"\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
