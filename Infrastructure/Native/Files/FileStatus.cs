namespace Discobot.Infrastructure.Native.Files;

/// <summary>Who owns a file.</summary>
internal readonly record struct Owner(uint User, uint Group)
{
    public static Owner Root => new(0, 0);
}

/// <summary>What a directory entry is.</summary>
internal enum FileKind
{
    Regular,
    Directory,
    Symlink,

    /// <summary>A FIFO, socket or device: nothing to be read or copied here.</summary>
    Other,
}

/// <summary>What statx says about a file, links not followed.</summary>
/// <param name="Kind">Which kind of entry it is.</param>
/// <param name="Permissions">The lower 12 bits of the mode.</param>
/// <param name="Owner">User and group.</param>
/// <param name="Size">In bytes.</param>
/// <param name="Device">Identifies the file system, with <paramref name="Inode"/> the file.</param>
/// <param name="Inode">The number within the file system.</param>
/// <param name="Modified">Last change of the content.</param>
/// <param name="Links">How many names the file has.</param>
/// <param name="Mount">Identifies the mount it was reached by; 0 before Linux 5.8, which does not tell.</param>
internal readonly record struct FileStatus(
    FileKind Kind, uint Permissions, Owner Owner, long Size, ulong Device, ulong Inode, DateTimeOffset Modified, uint Links, ulong Mount)
{
    private static readonly long FirstSecond = DateTimeOffset.MinValue.ToUnixTimeSeconds();
    private static readonly long LastSecond = DateTimeOffset.MaxValue.ToUnixTimeSeconds();

    /// <summary>The same for every path that leads there.</summary>
    public (ulong Device, ulong Inode) Identity => (Device, Inode);

    public static FileStatus From(in Libc.StatXBuffer buffer) => new(
        (buffer.Mode & 0xF000) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Directory,
            0xA000 => FileKind.Symlink,
            _ => FileKind.Other,
        },
        buffer.Mode & 0xFFFu,
        new Owner(buffer.User, buffer.Group),
        (long)buffer.Size,
        ((ulong)buffer.DeviceMajor << 32) | buffer.DeviceMinor,
        buffer.Inode,
        TimeOf(buffer.ModifiedSeconds, buffer.ModifiedNanoseconds),
        buffer.Links,
        buffer.Mount);

    /// <summary>A time of a file, which its owner may set to any number: what no calendar has is the first or the last time that ours has.</summary>
    public static DateTimeOffset TimeOf(long seconds, uint nanoseconds) =>
        seconds < FirstSecond ? DateTimeOffset.MinValue
        : seconds > LastSecond ? DateTimeOffset.MaxValue
        : DateTimeOffset.FromUnixTimeSeconds(seconds).AddTicks(Math.Min(nanoseconds, 999_999_999) / 100);
}
