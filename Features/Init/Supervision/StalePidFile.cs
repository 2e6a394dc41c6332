using System.Globalization;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>A pid file that outlived its process: after a kill its number may be another program's, and the daemon refuses to start.</summary>
internal static class StalePidFile
{
    /// <summary>Removes the file unless the process it names runs and is the program.</summary>
    public static void Remove(string path, string program, InitLog log, string proc = "/proc")
    {
        if (!File.Exists(path))
            return;
        if (RegularFile.IsOrMissing(path) && int.TryParse(RegularFile.ReadAllText(path).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            && File.Exists($"{proc}/{id}/comm") && RegularFile.ReadAllText($"{proc}/{id}/comm").Trim() == program)
            return;
        log.Info($"removing stale {path}");
        File.Delete(path);
    }
}
