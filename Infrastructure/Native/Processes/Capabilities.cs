using System.Globalization;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>The rights of root's that this process has (capabilities(7)), by their numbers.</summary>
internal static class Capabilities
{
    /// <summary>To take others out of the bounding set.</summary>
    public const int SetPcap = 8;

    public const int SysAdmin = 21;

    /// <summary>Whether it may use it now.</summary>
    public static bool Has(int number)
    {
        // proc(5), status.
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("CapEff:", StringComparison.Ordinal));
        return (ulong.Parse(line.AsSpan("CapEff:".Length).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) >> number & 1) != 0;
    }
}
