namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// What only root can change. A program that root runs lies in directories that belong to root all the way up and that nobody else may
/// write to; every link on the way counts as well, as whoever owns the directory it stands in could point it elsewhere.
/// </summary>
/// <param name="root">Where the file system begins: nothing above is looked at.</param>
/// <param name="groups">Groups whose right to write is somebody else's right: those of whom root is not to trust.</param>
/// <param name="homes">Never trusted, whoever owns them now: a home becomes its user's.</param>
internal sealed class TrustedPath(string root, IReadOnlyCollection<uint> groups, IReadOnlyList<string> homes)
{
    private const int MostLinks = 40; // as in the kernel, path_resolution(7)
    private const uint OthersWrite = 0x2;
    private const uint GroupWrites = 0x10;

    /// <summary>The first trusted program of a name in the directories of a PATH.</summary>
    public string? Find(string name, string path)
        => Directories(path).Select(directory => Path.Combine(directory, name)).FirstOrDefault(program => File.Exists(program) && Contains(program));

    /// <summary>A PATH without the directories that are not trusted.</summary>
    public string Filter(string path) => string.Join(':', Directories(path).Where(Contains));

    /// <summary>Whether a variable's value names no file or directory that somebody else can change, wherever in it the names stand.</summary>
    public bool Allows(string value)
        => value.Split((char[])[' ', '\t', '\n', ':', ';', ',', '=', '\'', '"'], StringSplitOptions.RemoveEmptyEntries)
            .All(part => part.IndexOf('/', StringComparison.Ordinal) is var at && (at < 0 || Contains(part[at..])));

    /// <summary>Whether only root can change what an absolute path leads to. What does not exist counts as the directory it would be in.</summary>
    public bool Contains(string path)
    {
        var top = root != "/" && (path == root || path.StartsWith(root + "/", StringComparison.Ordinal)) ? root : "/";
        var (real, left, links) = (new Stack<string>(), new Stack<string>(Parts(path[(top == "/" ? 0 : top.Length)..]).Reverse()), 0);
        while (left.TryPop(out var part))
        {
            if (part == "..")
            {
                real.TryPop(out _);
                continue;
            }

            real.Push(part);
            var here = Path.Combine([top, .. real.Reverse()]);
            if (homes.Contains(here) || (new FileInfo(here).LinkTarget is null && !IsRoots(here)))
                return false;
            if (new FileInfo(here).LinkTarget is not { } target)
                continue;
            if (++links > MostLinks)
                return false;
            real.Pop();
            if (Path.IsPathRooted(target))
                real.Clear();
            foreach (var next in Parts(target).Reverse())
                left.Push(next);
        }

        return IsRoots(top);
    }

    private static IEnumerable<string> Directories(string path) => path.Split(':').Where(directory => directory.StartsWith('/'));

    private static IEnumerable<string> Parts(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".");

    private bool IsRoots(string path)
        => Libc.StatusOf(path) is not { } status
            || (status.Owner.User == 0 && (status.Permissions & OthersWrite) == 0
                && ((status.Permissions & GroupWrites) == 0 || !groups.Contains(status.Owner.Group)));
}
