using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// Whether an exception is a file system's word: full (ENOSPC, EDQUOT), failing (EIO), read-only, closed to us, without descriptors (EMFILE), or a file at its
/// limit (EFBIG, <c>ulimit -f</c>), of which .NET alone makes no IOException. Whoever writes what can be done without, goes on after any of them.
/// </summary>
internal static class DiskFailure
{
    // The name that .NET gives the length in place of which there is EFBIG; an argument of ours that is out of range is a bug.
    private const string Length = "value";

    public static bool Is(Exception error) =>
        error is IOException or UnauthorizedAccessException || IsTooLarge(error);

    /// <summary>Writes, with an IOException for whatever the file system says.</summary>
    public static void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset)
    {
        try
        {
            RandomAccess.Write(file, bytes, offset);
        }
        catch (ArgumentOutOfRangeException e) when (IsTooLarge(e))
        {
            throw TooLarge(e);
        }
    }

    /// <summary>Makes a file longer, by a hole, with an IOException for whatever the file system says.</summary>
    public static void SetLength(SafeFileHandle file, long length)
    {
        try
        {
            RandomAccess.SetLength(file, length);
        }
        catch (ArgumentOutOfRangeException e) when (IsTooLarge(e))
        {
            throw TooLarge(e);
        }
    }

    private static IOException TooLarge(Exception e) => new("the file is larger than may be", e);

    /// <summary>Whether a file is at its limit.</summary>
    public static bool IsTooLarge(Exception error) => error is ArgumentOutOfRangeException { ParamName: Length };
}
