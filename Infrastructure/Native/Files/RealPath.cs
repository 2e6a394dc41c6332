namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// Where a path really leads when links stand anywhere in it. <see cref="File.ResolveLinkTarget"/> reads a relative target from the
/// directory as it is written, which is wrong when that directory is a link itself.
/// </summary>
internal static class RealPath
{
    private const int MostLinks = 40; // as in the kernel, path_resolution(7)

    /// <summary>Resolves every link of a path; those that name an absolute path begin at <paramref name="root"/> again, as in chroot(2).</summary>
    /// <param name="root">Where the file system begins; taken as it is.</param>
    /// <param name="path">Relative to it.</param>
    /// <exception cref="IOException">Links run in a circle.</exception>
    public static string Below(string root, string path)
    {
        var real = new Stack<string>();
        var left = new Stack<string>(Parts(path).Reverse());
        var links = 0;
        while (left.TryPop(out var part))
        {
            if (part == "..")
            {
                real.TryPop(out _);
                continue;
            }

            real.Push(part);
            if (new FileInfo(Join(root, real)).LinkTarget is not { } target)
                continue;
            if (++links > MostLinks)
                throw new IOException($"{Path.Combine(root, path)}: too many links");
            real.Pop();
            if (Path.IsPathRooted(target))
                real.Clear();
            foreach (var next in Parts(target).Reverse())
                left.Push(next);
        }

        return Join(root, real);
    }

    private static IEnumerable<string> Parts(string path) =>
        path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".");

    private static string Join(string root, Stack<string> parts) => Path.Combine([root, .. parts.Reverse()]);
}
