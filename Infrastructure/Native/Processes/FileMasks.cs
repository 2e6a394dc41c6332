namespace Discobot.Infrastructure.Native.Processes;

/// <summary>The umask of a program whose files root reads again.</summary>
internal static class FileMasks
{
    private const uint OfOwner = 0x1C0; // 0700
    private const uint OfOthers = 0x3F; // 0077

    /// <summary>Nobody else may write to what is made from now on, and we may read it: whatever was inherited. What was closed to others stays so.</summary>
    public static void Close()
    {
        var inherited = Libc.SetFileMask(Libc.UsualFileMask);
        _ = Libc.SetFileMask((inherited & OfOthers & ~OfOwner) | Libc.UsualFileMask);
    }
}
