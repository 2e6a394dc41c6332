using Discobot.Infrastructure.Native;

namespace Discobot.Features.Configuration;

/// <summary>Where certificates, cache and token are kept when no file says so.</summary>
internal static class DataDirectory
{
    /// <summary>The place in a container.</summary>
    public const string System = "/.data/proxy";

    /// <summary>/.data/proxy where this process may write there, else the user's own data directory (XDG Base Directory Specification).</summary>
    public static string Find(IReadOnlyDictionary<string, string> environment)
    {
        if (MayCreate(System))
            return System;
        if (environment.TryGetValue("XDG_DATA_HOME", out var data) && Path.IsPathFullyQualified(data))
            return Path.Combine(data, "discobot");
        if (environment.TryGetValue("HOME", out var home) && Path.IsPathFullyQualified(home))
            return Path.Combine(home, ".local/share/discobot");
        return Path.Combine(Path.GetTempPath(), "discobot");
    }

    // The nearest directory that exists decides whether those below can be made.
    private static bool MayCreate(string path)
    {
        while (!Directory.Exists(path))
            path = Path.GetDirectoryName(path) ?? "/";
        return Libc.MayWriteInto(path);
    }
}
