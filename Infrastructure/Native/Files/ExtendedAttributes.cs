using System.Runtime.InteropServices;
using System.Text;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>Copies extended attributes (xattr(7)) from one open file to another.</summary>
internal static class ExtendedAttributes
{
    private const int LargestList = 64 * 1024; // XATTR_LIST_MAX and XATTR_SIZE_MAX

    /// <summary>Copies what its users gave a file: their own attributes and access lists. Those that the target's file system does not keep
    /// are left out, as by cp(1).</summary>
    /// <param name="source">Any open file or directory.</param>
    /// <param name="target">Likewise, its owner and mode set already: changing the owner takes capabilities away.</param>
    /// <param name="withCapabilities">Whether a program keeps what it may do (capabilities(7)): only from a source that is trusted.</param>
    public static void Copy(SafeHandle source, SafeHandle target, bool withCapabilities)
    {
        var names = new byte[512];
        var length = (int)Libc.ListAttributes(source, names, (nuint)names.Length);
        if (length < 0 && Marshal.GetLastPInvokeError() == LibcException.Range)
            length = (int)Libc.ListAttributes(source, names = new byte[LargestList], LargestList);
        if (length <= 0)
            return;
        foreach (var name in Encoding.UTF8.GetString(names, 0, length).Split('\0', StringSplitOptions.RemoveEmptyEntries))
        {
            if (name.StartsWith("user.", StringComparison.Ordinal) || name.StartsWith("system.posix_acl_", StringComparison.Ordinal)
                || (withCapabilities && name == "security.capability"))
                CopyOne(source, target, FileName.FromString(name).Bytes);
        }
    }

    /// <summary>Whether the file system keeps attributes of a kind, and this process may set them.</summary>
    public static bool AreKept(SafeHandle file, string name)
    {
        var bytes = FileName.FromString(name).Bytes;
        return Libc.SetAttribute(file, bytes, "1"u8, 1, 0) == 0 && Libc.RemoveAttribute(file, bytes) == 0;
    }

    private static void CopyOne(SafeHandle source, SafeHandle target, byte[] name)
    {
        var value = new byte[LargestList];
        var length = (int)Libc.GetAttribute(source, name, value, (nuint)value.Length);
        if (length >= 0)
            _ = Libc.SetAttribute(target, name, value.AsSpan(0, length), (nuint)length, 0);
    }
}
