using System.Globalization;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>Signals that this process ignores, which it may have inherited and would hand on: execve(2) keeps them, and .NET installs no
/// handler for them.</summary>
internal static class IgnoredSignals
{
    /// <summary>Gives them their default meaning again.</summary>
    /// <param name="but">Stays ignored.</param>
    public static void Restore(Signal? but = null)
    {
        // proc(5), status: the lowest bit is signal 1.
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("SigIgn:", StringComparison.Ordinal));
        var ignored = ulong.Parse(line.AsSpan("SigIgn:".Length).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        for (var signal = 1; ignored != 0; signal++, ignored >>= 1)
        {
            if ((ignored & 1) != 0 && signal != (int?)but)
                Libc.SetDisposition(signal, 0);
        }
    }
}
