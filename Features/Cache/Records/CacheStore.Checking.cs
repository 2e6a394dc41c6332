using System.Buffers;
using System.Security.Cryptography;

namespace Discobot.Features.Cache.Records;

/// <summary>Looking for damage nobody asked about yet.</summary>
internal sealed partial class CacheStore
{
    private const int CheckStep = 1 << 20;

    /// <summary>Reads an entry's body at a low, steady pace and drops the entry if its digest is wrong.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="bytesPerSecond">The pace: it is not to be felt by those who pull.</param>
    /// <param name="cancel">Ends the check without a finding.</param>
    public async Task CheckAsync(CacheEntry entry, long bytesPerSecond, CancellationToken cancel)
    {
        try
        {
            using var file = _directory.OpenBody(entry.Key);

            // Not on disk: being stored, or gone since; the next request finds out.
            if (file is null || !Index.Contains(entry))
                return;
            var stamp = StoredBody.StampOf(file);
            if (RandomAccess.GetLength(file) == entry.Size && await DigestAsync(file, entry.Size, bytesPerSecond, cancel) == entry.Digest)
                entry.VerifiedStamp = stamp;
            else
                Drop(entry, "a check of the disk found its body altered");
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("check an entry", e.Message);
        }
    }

    /// <summary>The digest of an entry's body by another algorithm, with no use of it; blocks for the disk. Null when it cannot be read.</summary>
    public byte[]? DigestOf(CacheEntry entry, HashAlgorithmName algorithm)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(CheckStep);
        try
        {
            using var file = _directory.OpenBody(entry.Key);
            if (file is null)
                return null;
            using var hash = IncrementalHash.CreateHash(algorithm);
            for (long at = 0; RandomAccess.Read(file, buffer.AsSpan(0, CheckStep), at) is var read and > 0; at += read)
                hash.AppendData(buffer, 0, read);
            return hash.GetHashAndReset();
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            LogDiskFailed("read an entry", e.Message);
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task<Hash256> DigestAsync(
        Microsoft.Win32.SafeHandles.SafeFileHandle file, long length, long bytesPerSecond, CancellationToken cancel)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(CheckStep);
        try
        {
            for (long at = 0; at < length;)
            {
                var read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(CheckStep, length - at)), at);
                if (read == 0)
                    return default;
                hash.AppendData(buffer, 0, read);
                at += read;
                await Task.Delay(TimeSpan.FromSeconds((double)read / bytesPerSecond), _time, cancel);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return Hash256.Read(hash.GetHashAndReset());
    }
}
