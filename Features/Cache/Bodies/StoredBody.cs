using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Bodies;

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
        (Entry, Record, Bytes, Stamp, _file) = (entry, new StoredRecord(metadata), bytes, stamp, file);
        Digest = $"sha256:{entry.Digest}";
        _intact = new(() => stamp == Entry.VerifiedStamp ? Task.FromResult(true) : CheckAsync(checks));
    }

    public CacheEntry Entry { get; }

    /// <summary>What the origin said of it.</summary>
    public StoredRecord Record { get; }

    /// <summary>As registries name it: <c>sha256:</c> and 64 digits.</summary>
    public string Digest { get; }

    /// <summary>The whole body if <see cref="InMemory"/>.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    public bool InMemory => _file is null;

    public long Length => Entry.Size;

    /// <summary>Last write of the file when it was opened, in ticks.</summary>
    public long Stamp { get; }

    /// <summary>
    /// Whether the file's digest is right, looked at once for each state of the file and shared by all readers. Whoever sends a body holds
    /// back its end until this is true: an altered file is never handed out as complete, not even once. Faulted when the disk could not be
    /// read: that proves nothing.
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
    public int Read(Span<byte> buffer, long offset)
    {
        if (_file is not null)
            return RandomAccess.Read(_file, buffer, offset);
        var rest = Bytes.Span[(int)Math.Min(offset, Length)..];
        var read = Math.Min(rest.Length, buffer.Length);
        rest[..read].CopyTo(buffer);
        return read;
    }

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
        // Whoever asks holds the body, so it cannot be closed yet.
        TryAcquire();
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
        finally
        {
            Release();
        }
    }
}

/// <summary>What one origin said of one address, as an answer carries it.</summary>
/// <param name="metadata">What stands in the record's file.</param>
internal sealed class StoredRecord(EntryMetadata metadata)
{
    public EntryMetadata Metadata { get; } = metadata;

    /// <summary>The header fields, but for those that no server could send: an earlier version kept them.</summary>
    public KeyValuePair<string, StringValues>[] Fields { get; } =
        [.. EndToEnd.Storable(metadata.Headers, cookies: true).GroupBy(h => h.Key, h => h.Value, StringComparer.OrdinalIgnoreCase)
            .Select(g => KeyValuePair.Create(g.Key, new StringValues([.. g])))];

    /// <summary>When the origin said so (RFC 3339).</summary>
    public string StoredAt { get; } =
        DateTimeOffset.FromUnixTimeMilliseconds(metadata.StoredAt).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
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
