namespace Discobot.Features.DockerGuard;

/// <summary>
/// The directories of the agent's, below which it may have bind mounts. Only the text of a path is judged: who judges links looks at another
/// moment than who follows them, and dockerd follows them again at each start and copy. It follows none there: it runs where these directories
/// are mounted with <c>nosymfollow</c> (see <see cref="Infrastructure.Native.LinklessMounts"/>), so that whatever the agent puts in place of a
/// directory, the kernel stays within.
/// </summary>
/// <param name="directories">Absolute; nobody but root can put something else in their place.</param>
internal sealed class AllowedSources(IReadOnlyList<string> directories)
{
    public bool Allow(string source) => source.StartsWith('/') && !source.Contains('\0', StringComparison.Ordinal) && Path.GetFullPath(source) is var path
        && directories.Any(directory => path == directory || path.StartsWith(directory + "/", StringComparison.Ordinal));

    public override string ToString() => string.Join(", ", directories);
}
