using System.Diagnostics;
using Discobot.Features.Init;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Shutdown;

/// <summary>Processes that left their group: daemons, and what `docker exec` started. As process 1 all there are, else our descendants.</summary>
internal sealed class Leftovers(InitLog log)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Dying = TimeSpan.FromMilliseconds(200);

    /// <summary>Sends TERM to all of them, and KILL to those that are there after the limit.</summary>
    /// <returns>False when some had to be killed.</returns>
    public async Task<bool> StopAsync(TimeSpan limit)
    {
        var left = Find();
        if (left.Count == 0)
            return true;
        log.Info($"processes left: {left.Count}, ending them");
        SendAll(left, Signal.Terminate);
        SendAll(left, Signal.Continue);
        if (await AreGoneAsync(limit, static _ => { }))
            return true;
        log.Warning("processes left that did not end, killing them");
        await AreGoneAsync(Dying, static left => SendAll(left, Signal.Kill));
        return false;
    }

    private static async Task<bool> AreGoneAsync(TimeSpan limit, Action<List<int>> urge)
    {
        var watch = Stopwatch.StartNew();
        for (var left = Find(); left.Count > 0; left = Find())
        {
            urge(left);
            if (watch.Elapsed >= limit)
                return false;
            await Task.Delay(Poll);
        }

        return true;
    }

    private static void SendAll(List<int> processes, Signal signal)
    {
        foreach (var process in processes)
            _ = Libc.Kill(process, (int)signal);
    }

    private static List<int> Find()
    {
        var tree = ProcessTree.Read();
        var self = Environment.ProcessId;
        return [.. self == 1 ? tree.Running.Where(id => id != self) : tree.DescendantsOf(self)];
    }
}
