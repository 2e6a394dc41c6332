using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache;

/// <summary>
/// An opened entry: its metadata and either its bytes (small bodies) or a file handle shared by everyone who reads it. Counted, so that
/// eviction and <c>DELETE /api/cache</c> may unlink the file while downloads go on.
/// </summary>
internal sealed class StoredBody
{
    /// <summary>Bodies up to this size are held in memory while hot: no system call is left on their way out. 64 KiB.</summary>
    public const int MemoryLimit = 64 << 10;

    private readonly SafeFileHandle? _file;
    private readonly Lazy<Task<bool>> _intact;
    private int _users = 1;

    private StoredBody(CacheEntry entry, EntryMetadata metadata, SafeFileHandle? file, ReadOnlyMemory<byte> bytes, long stamp, SemaphoreSlim checks)
    {
        (Entry, Metadata, Bytes, Stamp, _file) = (entry, metadata, bytes, stamp, file);
        Fields = [.. metadata.Headers.GroupBy(h => h.Key, h => h.Value, StringComparer.OrdinalIgnoreCase)
            .Select(g => KeyValuePair.Create(g.Key, new StringValues([.. g])))];
        Digest = $"sha256:{entry.Digest}";
        StoredAt = DateTimeOffset.FromUnixTimeMilliseconds(entry.StoredAt).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        _intact = new(() => stamp == Entry.VerifiedStamp ? Task.FromResult(true) : CheckAsync(checks));
    }

    public CacheEntry Entry { get; }

    public EntryMetadata Metadata { get; }

    /// <summary>The stored header fields as an answer carries them.</summary>
    public KeyValuePair<string, StringValues>[] Fields { get; }

    /// <summary>As registries name it: <c>sha256:</c> and 64 digits.</summary>
    public string Digest { get; }

    /// <summary>When it was stored (RFC 3339).</summary>
    public string StoredAt { get; }

    /// <summary>The whole body if <see cref="InMemory"/>.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    public bool InMemory => _file is null;

    public long Length => Entry.Size;

    /// <summary>Last write of the file when it was opened, in ticks.</summary>
    public long Stamp { get; }

    /// <summary>
    /// Whether the file's digest is right, looked at once for each state of the file and shared by all readers. Whoever sends a body holds
    /// back its end until this is true: an altered file is never handed out as complete, not even once.
    /// </summary>
    public Task<bool> Intact => _intact.Value;

    /// <summary>A body in memory, whose digest the caller has checked.</summary>
    public static StoredBody FromBytes(CacheEntry entry, EntryMetadata metadata, ReadOnlyMemory<byte> bytes, long stamp)
    {
        entry.VerifiedStamp = stamp;
        return new(entry, metadata, null, bytes, stamp, null!);
    }

    /// <summary>A body in a file of the right length, which the new object owns.</summary>
    public static StoredBody FromFile(CacheEntry entry, EntryMetadata metadata, SafeFileHandle file, long stamp, SemaphoreSlim checks) =>
        new(entry, metadata, file, default, stamp, checks);

    /// <summary>Reads at an offset; blocks for the disk, which costs no more than the thread pool doing the same for us.</summary>
    public int Read(Span<byte> buffer, long offset) => RandomAccess.Read(_file!, buffer, offset);

    /// <summary>False when the file changed since it was opened.</summary>
    public bool IsFresh() =>
        _file is null || (StampOf(_file) == Stamp && RandomAccess.GetLength(_file) == Length);

    public static long StampOf(SafeFileHandle file) => File.GetLastWriteTimeUtc(file).Ticks;

    /// <returns>False when it is closed already: open the entry again.</returns>
    public bool TryAcquire()
    {
        for (var users = Volatile.Read(ref _users); users > 0;)
        {
            var seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
                return true;
            users = seen;
        }

        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            _file?.Dispose();
    }

    private async Task<bool> CheckAsync(SemaphoreSlim checks)
    {
        if (!TryAcquire())
            return false;
        try
        {
            await checks.WaitAsync();
            try
            {
                var intact = await Task.Run(() => BodyDigest.Of(_file!, Length) == Entry.Digest);
                if (intact)
                    Entry.VerifiedStamp = Stamp;
                return intact;
            }
            finally
            {
                checks.Release();
            }
        }
        catch (IOException)
        {
            return false;
        }
        finally
        {
            Release();
        }
    }
}

/// <summary>Hashes files.</summary>
internal static class BodyDigest
{
    /// <summary>SHA-256 of the first <paramref name="length"/> bytes. All zero (no digest at all) when there are fewer.</summary>
    public static Hash256 Of(SafeFileHandle file, long length)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(256 << 10);
        try
        {
            for (long at = 0; at < length;)
            {
                var read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, length - at)), at);
                if (read == 0)
                    return default;
                hash.AppendData(buffer, 0, read);
                at += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        Span<byte> result = stackalloc byte[Hash256.Size];
        hash.GetHashAndReset(result);
        return Hash256.Read(result);
    }
}
