using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// Copies what a file holds, as cp(1) does: what is a hole in one is a hole in the other, or an image of a disk or a sparse database would
/// fill the volume. In pieces, so that a stop does not have to wait for the end of a large file.
/// </summary>
internal static class FileContent
{
    private const int Start = 0; // SEEK_SET
    private const int Data = 3; // SEEK_DATA
    private const int Hole = 4; // SEEK_HOLE
    private const int Piece = 16 << 20;

    /// <summary>Copies the whole file into an empty one.</summary>
    public static void Copy(SafeFileHandle source, SafeFileHandle target, CancellationToken cancellationToken)
    {
        for (long end = 0; ;)
        {
            var data = Libc.Seek(source, end, Data);
            if (data < 0 && LibcException.Last("lseek", "for data").Number == LibcException.NoDeviceOrAddress)
                break;
            var hole = data < 0 ? data : Libc.Seek(source, data, Hole);
            if (hole <= data)
            {
                // The file system does not tell of any.
                CopyByHand(source, target, Math.Max(data, end), long.MaxValue, cancellationToken);
                break;
            }

            CopyRange(source, target, data, hole, cancellationToken);
            end = hole;
        }

        var length = RandomAccess.GetLength(source);
        if (RandomAccess.GetLength(target) < length)
            DiskFailure.SetLength(target, length);
    }

    private static void CopyRange(SafeFileHandle source, SafeFileHandle target, long from, long to, CancellationToken cancellationToken)
    {
        nint copied = 0;
        if (Libc.Seek(source, from, Start) == from && Libc.Seek(target, from, Start) == from)
        {
            for (; from < to && (copied = Libc.CopyFileRange(source, 0, target, 0, (nuint)Math.Min(to - from, Piece), 0)) > 0; from += copied)
                cancellationToken.ThrowIfCancellationRequested();
        }

        // Not between these two file systems, or not on this kernel, some of which say 0 then.
        CopyByHand(source, target, from, to, cancellationToken);
    }

    private static void CopyByHand(SafeFileHandle source, SafeFileHandle target, long from, long to, CancellationToken cancellationToken)
    {
        if (from >= to)
            return;
        var buffer = new byte[256 * 1024];
        for (int read; from < to && (read = RandomAccess.Read(source, buffer.AsSpan(0, (int)Math.Min(to - from, buffer.Length)), from)) > 0; from += read)
        {
            DiskFailure.Write(target, buffer.AsSpan(0, read), from);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }
}
