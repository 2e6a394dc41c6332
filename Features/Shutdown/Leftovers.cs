using System.Globalization;
using Discobot.Features.Init;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Shutdown;

/// <summary>Processes that left their group: daemons, and what `docker exec` started. As process 1 all there are, else our descendants.</summary>
internal sealed class Leftovers(InitLog log)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);

    /// <summary>Sends TERM to all of them, and KILL to those that are there after the limit.</summary>
    public async Task StopAsync(TimeSpan limit)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var left = Find();
        if (left.Count == 0)
            return;
        log.Info($"processes left: {left.Count}, ending them");
        SendAll(left, Signal.Terminate);
        while (watch.Elapsed < limit && left.Count > 0)
        {
            await Task.Delay(Poll);
            left = Find();
        }

        SendAll(left, Signal.Kill);
        while (watch.Elapsed < limit + TimeSpan.FromMilliseconds(200) && Find().Count > 0)
            await Task.Delay(Poll);
    }

    private static void SendAll(List<int> processes, Signal signal)
    {
        foreach (var process in processes)
            _ = Libc.Kill(process, (int)signal);
    }

    private static List<int> Find()
    {
        var self = Environment.ProcessId;
        var parents = new Dictionary<int, int>();
        foreach (var path in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && ParentOfLiving(path) is { } parent)
                parents[id] = parent;
        }

        return [.. parents.Keys.Where(id => id != self && (self == 1 || Descends(id, self, parents)))];
    }

    private static bool Descends(int id, int ancestor, Dictionary<int, int> parents)
    {
        for (var steps = 0; steps < parents.Count && parents.TryGetValue(id, out var parent); steps++, id = parent)
        {
            if (parent == ancestor)
                return true;
        }

        return false;
    }

    // proc(5), stat: "pid (name) state ppid …", where the name may hold anything. Zombies have ended already.
    private static int? ParentOfLiving(string path)
    {
        try
        {
            var stat = File.ReadAllText(path + "/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : int.Parse(fields[1], CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
