using System.Globalization;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>The processes there are, and who started whom, as it was when they were read.</summary>
internal sealed class ProcessTree
{
    private readonly Dictionary<int, Entry> _entries = [];

    private ProcessTree()
    {
    }

    /// <summary>Everyone who runs. Zombies have ended already.</summary>
    public IEnumerable<int> Running => _entries.Where(e => !e.Value.Ended).Select(e => e.Key);

    /// <summary>Reads /proc.</summary>
    public static ProcessTree Read()
    {
        var tree = new ProcessTree();
        foreach (var path in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && ReadEntry(path) is { } entry)
                tree._entries[id] = entry;
        }

        return tree;
    }

    /// <summary>Everyone who runs and was started by a process or by those it started.</summary>
    public IEnumerable<int> DescendantsOf(int ancestor) => Running.Where(id => Descends(id, ancestor));

    /// <summary>Those that run and were started by a process itself.</summary>
    public IEnumerable<int> ChildrenOf(int parent) => Running.Where(id => _entries[id].Parent == parent);

    /// <summary>Children that have ended and that nobody has waited for.</summary>
    public IEnumerable<int> ZombiesOf(int parent) => _entries.Where(e => e.Value.Ended && e.Value.Parent == parent).Select(e => e.Key);

    private bool Descends(int id, int ancestor)
    {
        for (var steps = 0; steps < _entries.Count && _entries.TryGetValue(id, out var entry); steps++, id = entry.Parent)
        {
            if (entry.Parent == ancestor)
                return true;
        }

        return false;
    }

    // proc(5), stat: "pid (name) state ppid …", where the name may hold anything.
    private static Entry? ReadEntry(string path)
    {
        try
        {
            var stat = File.ReadAllText(path + "/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return new Entry(int.Parse(fields[1], CultureInfo.InvariantCulture), fields[0] is "Z" or "X");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private readonly record struct Entry(int Parent, bool Ended);
}
