namespace Discobot.Infrastructure.Native.Processes;

/// <summary>Where credentials are in the clear: they have to be, to be sent.</summary>
internal static class ProcessMemory
{
    /// <summary>
    /// Keeps memory and environment of this process out of core dumps, and from other processes of its user: they may neither trace it nor
    /// read its files in /proc (prctl(2), PR_SET_DUMPABLE). Root may all the same.
    /// </summary>
    public static void Hide() => Libc.ProcessControl(Libc.SetDumpable, 0, 0, 0, 0);
}
